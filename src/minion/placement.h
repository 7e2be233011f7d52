#pragma once

// The disk side of one run on one host: which pieces are here, proven, and in place.
//
// A Placement verifies what was pulled, adopts what the host had already, splices, completes and
// publishes. It knows nothing of Redis, sources or rsync: it is told digests, and says what it has.
// Hashing and copying run on two threads of its own, one for what may then be served on and one for
// what is assembled; collect() takes their results in. What blocks: the destructor, and reading a
// manifest that is here already, in the constructor and, if it is delivered, in decide().
//
// The sets, all of the run's pieces:
//
//   servable    verified piece files in the spool: what the host may offer
//   in place    needed no more: spliced into the tree, or found equal in the published payload
//   undecided   may be here already: not to be claimed before that is known
//
// What a host can have already: pieces of an earlier attempt in the spool; pieces that a master
// pushed here, or, on the master's own host, cuts into this very spool (both: delivered); ranges of
// what is published under the payload's name. Everything is hashed before it counts. If what is
// published has the same entries, it is compared where it stands and nothing is written unless a
// digest differs.
//
// Death in the middle: see spool.h and assembly.h. Failures throw (local), from collect() as well.
// Belongs to one thread.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "libsync/core/ownership.h"
#include "libsync/core/pieces.h"
#include "libsync/core/verdict.h"
#include "libsync/minion_coordinator.h"
#include "minion/assembly.h"
#include "store/spool.h"

namespace libsync {

class Workers;

/// By whose hands pieces come into this spool.
enum class Delivery {
  pulled,  ///< Ours.
  pushed,  ///< The master's, by a push.
  shared,  ///< The master's, on its own host: the spool is its own, and only read here.
};

/// What became of something that was pulled. No piece: the manifest.
struct Judgement {
  std::optional<PieceNumber> piece;
  Verdict verdict;
};

class Placement {
 public:
  Placement(const Spool& spool, RunInfo run, std::filesystem::path repo, Ownership ownership,
            Delivery feed);
  ~Placement();

  void append_descriptors(std::vector<int>& descriptors) const;

  /// Takes in what the threads have done.
  void collect();

  [[nodiscard]] const PieceSet& servable() const { return servable_; }
  [[nodiscard]] const PieceSet& in_place() const { return in_place_; }
  [[nodiscard]] bool has_manifest() const { return assembly_ != nullptr; }

  /// Servable, or in place: nobody has to bring it any more.
  [[nodiscard]] PieceSet verified() const;

  /// Verified or undecided: everything that need not, or not yet, be claimed.
  [[nodiscard]] PieceSet not_to_claim() const;

  /// The manifest lies in the spool's incoming folder.
  void judge_manifest();

  /// A piece lies in the spool's incoming folder.
  void judge(const StagedPiece& piece);

  /// Verdicts on what was given to judge, since the last call.
  [[nodiscard]] std::vector<Judgement> judgements();

  /// Undecided pieces whose digest is wanted.
  [[nodiscard]] std::vector<PieceNumber> wanted_digests() const;

  /// The digests of undecided pieces, as far as they have been announced.
  void decide(const std::vector<StagedPiece>& pieces);

  /// What was delivered, as far as it has been announced, is not there, or wrong. Empty: nothing.
  [[nodiscard]] std::string undelivered() const;

  /// Somebody got wrong bytes from here: hashes all servable pieces again. REQUIRES: their digests
  /// are among `pieces`. If one is bad that has been put in place, collect() throws (local, to be
  /// tried again): another Placement finds out what can be proven of what is here.
  void recheck(const std::vector<StagedPiece>& pieces);
  [[nodiscard]] bool is_rechecking() const { return rechecking_ > 0; }

  /// All pieces are in place; complete() is next, unless it is all published already.
  [[nodiscard]] bool is_gathered() const;

  /// Gives the tree its modes and times and puts it on the disk.
  void complete();
  [[nodiscard]] bool is_completed() const { return step_ == Step::completed; }

  /// Swaps it with the destination, and calls `then` right after it, on the thread that did, even
  /// if this Placement is being destroyed. REQUIRES: is_completed().
  void publish(std::function<void()> then);
  [[nodiscard]] bool is_published() const { return step_ == Step::published; }

 private:
  enum class Step { gathering, completing, completed, publishing, published };

  /// What is done with what is published under our name.
  enum class Old {
    unknown,   ///< There is something; it has not been looked at.
    surveyed,  ///< Being looked at.
    compared,  ///< It has the same entries: hash it where it stands.
    copied,    ///< Equal ranges of it are copied into the tree. Also: there is nothing.
  };

  void look_for_manifest();
  void accept_manifest(Manifest manifest);
  void survey();
  void begin_tree();
  void decide_one(PieceNumber piece);
  void decide_published(PieceNumber piece);
  void on_found(PieceNumber piece, Verdict verdict);
  void on_compared(PieceNumber piece, bool equal);
  void on_adopted(PieceNumber piece, bool equal);
  void lose(PieceNumber piece, Verdict verdict);
  void settle(PieceNumber piece);
  void splice(PieceNumber piece);
  [[nodiscard]] std::optional<std::filesystem::path> found_at(PieceNumber piece) const;

  Spool spool_;
  RunInfo run_;
  std::filesystem::path repo_;
  Ownership ownership_;
  Delivery feed_;

  Step step_ = Step::gathering;
  Old old_ = Old::copied;
  PieceSet servable_;
  PieceSet in_place_;
  PieceSet undecided_;
  PieceSet being_decided_;  // Of those undecided: its digest is being computed.
  PieceSet published_;      // All its ranges exist in what is published.
  PieceSet being_spliced_;
  PieceSet undelivered_;
  std::map<PieceNumber, Digest> digests_;  // Of those undecided.
  std::size_t rechecking_ = 0;
  std::vector<Judgement> judgements_;
  std::shared_ptr<Assembly> assembly_;  // Used by the assembler's thread alone.

  // Last, so that their threads end before anything that they use.
  std::unique_ptr<Workers> verifier_;
  std::unique_ptr<Workers> assembler_;
};

}  // namespace libsync
