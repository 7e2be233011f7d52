#pragma once

// The acts that a puller gives its owner, one at a time.
//
// The owner answers a call of the coordinator by an event, or by CallFailed if the answer is lost.
// Until then the puller gives no other act. The owner carries out all other acts at once.

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libsync/core/failure.h"
#include "libsync/minion_coordinator.h"
#include "libsync/transfer.h"
#include "minion/assignment.h"

namespace libsync {

// --- Calls of the coordinator ---

/// Answered by a ClaimOutcome.
struct AskClaim {
  Want want;
};

/// Gives a claim back, and asks for the next one. Answered by a ClaimOutcome.
struct CompleteClaim {
  std::optional<TransferId> pull;  ///< Nothing: the host started no pull for it.
  Token token;
  PullEnd end;
  std::string detail;
  std::optional<Want> next;
};

/// Answered by a ViewOutcome.
struct Report {
  unsigned slots;
  Clearance clearance;
};

/// Answered by a SeatOutcome.
struct ReportFromSeat {
  unsigned slots;
  Clearance clearance;
  std::vector<ParentFeedback> feedback;
};

/// Answered by a RenewOutcome.
struct Renew {
  std::vector<Token> tokens;
};

/// Answered by Digests.
struct AskDigests {
  std::vector<PieceNumber> pieces;
};

/// Answered by RunChecked.
struct CheckRun {};

/// Answered by a FinishOutcome.
struct Finish {
  unsigned slots;
};

/// Answered by Doubted.
struct Doubt {
  std::string reason;
};

// --- Pulls ---

/// Answered by PullStarted, before any other event.
struct StartPull {
  Assignment assignment;
};

struct EndPull {
  TransferId id;
  std::string reason;
};

// --- The disk ---

struct JudgePiece {
  StagedPiece piece;
  Attempt attempt;
};
struct JudgeManifest {};

/// Check the candidates whose digests are known, and look for files that the master delivered.
struct CheckCandidates {};

/// Reverify the spool. Every servable piece has its digest.
struct Reverify {};

/// All pieces are in place: give the tree its modes and times and put it on the disk.
struct CompleteTree {};

/// Swap the tree with the destination.
struct Publish {};

// --- The rest ---

/// Pull a small file from this host's own daemon. Answered by Probed.
struct StartProbe {};

/// A line for the log: a pull failed, and the puller goes on.
struct Warn {
  std::string line;
};

/// The download ends with this Failure.
struct GiveUp {
  Failure failure;
};

/// The download ends: this host has finished, or the run is over.
struct Conclude {
  enum class How { finished, run_over };
  How how;
};

using Act =
    std::variant<AskClaim, CompleteClaim, Report, ReportFromSeat, Renew, AskDigests, CheckRun,
                 Finish, Doubt, StartPull, EndPull, JudgePiece, JudgeManifest, CheckCandidates,
                 Reverify, CompleteTree, Publish, StartProbe, Warn, GiveUp, Conclude>;

}  // namespace libsync
