#pragma once

// The disk side of one run on one host: which pieces are here, proven, and in place.
//
// A Placement verifies what was pulled, adopts what the host had already, splices, completes and
// publishes. It knows nothing of Redis, sources or rsync: it is told digests, and says what it has.
// Hashing and copying run on two threads of its own, one for what may then be served on and one for
// what is assembled; collect() takes their results in. What blocks: the destructor, and reading a
// manifest that is here already, in the constructor and, if it is delivered, in decide().
//
// It moves the pieces in the piece table (piece_table.h) as threads tell it what is on the disk.
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
#include "minion/delivery.h"
#include "minion/disk_state.h"
#include "minion/ledger.h"
#include "minion/piece_table.h"
#include "store/spool.h"

namespace libsync {

class Workers;

class Placement {
 public:
  /// `pieces`: all unknown; must outlive the Placement.
  Placement(PieceTable& pieces, const Spool& spool, RunInfo run, std::filesystem::path repo,
            Ownership ownership, Delivery delivery);
  ~Placement();

  void append_descriptors(std::vector<int>& descriptors) const;

  /// Takes in what the threads have done.
  void collect();

  /// How far the payload is: gathered when complete() is next, published when finish() is.
  [[nodiscard]] DiskState::Step step() const;
  [[nodiscard]] bool has_manifest() const { return assembly_ != nullptr; }

  /// The manifest lies in the spool's incoming folder.
  void judge_manifest();

  /// A piece lies in the spool's incoming folder.
  void judge(const StagedPiece& piece);

  /// Verdicts on what was given to judge, since the last call.
  [[nodiscard]] std::vector<Judgement> judgements();

  /// Checks candidates whose digests are known by now.
  void decide();

  /// What was delivered, as far as it has been announced, is not there, or wrong. Empty: nothing.
  [[nodiscard]] std::string undelivered() const;

  /// Another host got wrong bytes from here: hashes all servable pieces again. REQUIRES: they are
  /// announced. If one is bad that has been put in place, collect() throws (local, to be tried
  /// again): another Placement finds out what can be proven of what is here.
  void reverify();
  [[nodiscard]] bool is_reverifying() const { return reverifying_ > 0; }

  /// Gives the tree its modes and times and puts it on the disk.
  void complete();

  /// Swaps it with the destination, and calls `then` right after it, on the thread that did, even
  /// if this Placement is being destroyed. REQUIRES: it is completed.
  void publish(std::function<void()> then);

 private:
  using Step = DiskState::Step;

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
  void restore_time();
  void on_adopted(PieceNumber piece, bool equal);
  void lose(PieceNumber piece, Verdict verdict);
  void delete_piece(PieceNumber piece) const;
  void await(PieceNumber piece);
  void place(PieceNumber piece);
  void judge_by_splicing(const StagedPiece& piece);
  void on_placed(PieceNumber piece, Verdict verdict);
  [[nodiscard]] bool is_assembler_quick() const;
  [[nodiscard]] std::optional<std::filesystem::path> found_at(PieceNumber piece) const;

  PieceTable& pieces_;

  Spool spool_;
  RunInfo run_;
  std::filesystem::path repo_;
  Ownership ownership_;
  Delivery delivery_;

  DiskState::Step step_ = Step::gathering;
  Old old_ = Old::copied;
  PieceSet published_;  // All its ranges exist in what is published, and are not known to differ.
  PieceSet undelivered_;
  std::size_t reverifying_ = 0;
  std::vector<Judgement> judgements_;
  std::shared_ptr<Assembly> assembly_;  // Used by the assembler's thread alone.

  // Last, so that their threads end before anything that they use.
  std::unique_ptr<Workers> verifier_;
  std::unique_ptr<Workers> assembler_;
};

}  // namespace libsync
