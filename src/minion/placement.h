#pragma once

// The disk side of one run on one host: which pieces are here, proven, and in place.
//
// A Placement verifies pulled pieces, adopts equal ranges of the former payload, splices, completes
// and publishes. It knows nothing of Redis, sources or rsync. The piece table (piece_table.h) gives
// it the digests, and a Placement moves the pieces there as its threads report.
//
// Hashing and copying run on two threads. The verifier handles pieces that other hosts wait for,
// and the assembler handles the tree. collect() delivers their results. The destructor blocks, and
// so does reading a manifest that is on the disk already, in the constructor and in decide().
//
// A host can have pieces already:
//
// - in the spool, from an earlier attempt;
// - delivered: a master pushed them here, or cuts them into this very spool on its own host;
// - as ranges of an old payload (store/old_versions.h), at the same offset or at another one;
// - in the spool of an earlier run that has ended (spool.h, former/), at any offset.
//
// The host hashes all of them before they count. If the published payload has the same entries, the
// host compares it in place, and writes nothing unless a digest differs.
//
// Death in the middle: see store/spool.h and assembly.h. Failures throw (local), from collect() as
// well. Belongs to one thread.
//
// The destructor stops the threads between two small steps. It waits half a second at most, or for
// the one system call that a thread is in.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "libsync/core/attempt.h"
#include "libsync/core/ownership.h"
#include "libsync/core/pieces.h"
#include "libsync/core/verdict.h"
#include "libsync/minion_coordinator.h"
#include "minion/assembly.h"
#include "minion/delivery.h"
#include "minion/disk_state.h"
#include "minion/ledger.h"
#include "minion/old_copy.h"
#include "minion/old_search.h"
#include "minion/only_here.h"
#include "minion/piece_table.h"
#include "minion/prefill.h"
#include "minion/room.h"
#include "os/byte_count.h"
#include "store/old_versions.h"
#include "store/spool.h"

namespace libsync {

class Workers;

class Placement {
 public:
  /// `pieces`: all unknown; must outlive the Placement.
  Placement(PieceTable& pieces, const Spool& spool, RunInfo run, std::filesystem::path repo,
            Ownership ownership, Delivery delivery, BasisRule basis = BasisRule::automatic,
            std::stop_token stop = {});
  ~Placement();

  void append_descriptors(std::vector<int>& descriptors) const;

  /// Delivers the results of the threads.
  void collect();

  /// gathered: complete() is next. published: the host may finish.
  [[nodiscard]] DiskState::Step step() const;
  [[nodiscard]] bool has_manifest() const { return assembly_ != nullptr; }

  /// Throws Failure (local, try again) before the first pull of pieces if the disk has no room for
  /// the run.
  void require_room() { room_.require_for_pull(); }
  /// Whether there is room for second attempts, too (libsync/core/attempt.h). False before that.
  [[nodiscard]] bool has_spare_room() const { return room_.spare_pieces() >= kSecondAttempts; }
  /// The old bytes that pulls may begin with now.
  [[nodiscard]] Basis basis() const;
  /// How much the payload has in common with its basis, if pulls have moved so many bytes.
  [[nodiscard]] Kinship kinship(std::uint64_t pulled_bytes) const;

  /// The manifest lies in the spool's incoming folder.
  void judge_manifest();

  /// A piece lies in the spool's incoming folder of this attempt.
  void judge(const StagedPiece& piece, Attempt attempt = Attempt::first);

  /// The verdicts since the last call.
  [[nodiscard]] std::vector<Judgement> judgements();

  /// Checks the candidates whose digests are known.
  void decide();

  /// Announced pieces that a master did not deliver, or delivered wrong, for a person. May be
  /// empty.
  [[nodiscard]] std::string undelivered() const;

  /// Hashes all servable pieces again, because another host got wrong bytes from here. REQUIRES:
  /// they are announced. If a piece in place is bad, collect() throws (local, try again), and the
  /// next Placement starts over with what it can prove.
  void reverify();
  [[nodiscard]] bool is_reverifying() const { return reverifying_ > 0; }

  /// The work of the threads, for a person: `assembling 41,000 of 100,000 files …`. Empty if they
  /// have none.
  [[nodiscard]] std::string work() const;

  /// Gives the tree its modes and times, and puts it on the disk.
  void complete();

  /// Swaps the tree with the destination. The thread that swaps then calls `then` with what only
  /// this host had in the former folder, even if this Placement is being destroyed. REQUIRES: the
  /// tree is completed.
  void publish(std::function<void(const OnlyHere&)> then);

 private:
  using Step = DiskState::Step;

  /// The bytes that the verifier hashes, since it last had nothing to do.
  struct Hashing {
    std::shared_ptr<ByteCount> done = std::make_shared<ByteCount>(0);
    std::uint64_t all = 0;
  };

  /// The use of the old payload.
  enum class Old {
    unknown,   ///< There may be one, and its entries have not been read.
    surveyed,  ///< The assembler reads its entries.
    compared,  ///< It is published under the same name with the same entries: hashed in place.
    copied,    ///< Equal ranges of it are copied into the tree, or there is none.
  };

  [[nodiscard]] std::optional<std::size_t> basis_for(EntryKind kind) const;
  void find_manifest();
  void find_manifest(const std::filesystem::path& path);
  void accept_manifest(Manifest manifest);
  void survey();
  void survey(const OldVersion& version, const Location& location);
  void open_search(std::vector<Location> locations, Kinship kinship);
  [[nodiscard]] bool has_former() const;
  void surveyed(std::shared_ptr<const OldCopy> old, PieceSet candidates, bool has_equal_entries);
  void miss(PieceNumber piece);
  void give_up_adopting();
  void search();
  void searched(const OldSearch::Found& found);
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
  void judge_by_splicing(const StagedPiece& piece, Attempt attempt);
  void on_placed(PieceNumber piece, Verdict verdict);
  [[nodiscard]] bool is_assembler_quick() const;
  [[nodiscard]] std::shared_ptr<ByteCount> count_hashing(PieceNumber piece);
  [[nodiscard]] std::optional<std::filesystem::path> found_at(PieceNumber piece) const;

  PieceTable& pieces_;

  Spool spool_;
  RunInfo run_;
  std::filesystem::path repo_;
  Ownership ownership_;
  Delivery delivery_;
  Room room_;

  DiskState::Step step_ = Step::gathering;
  Old old_ = Old::copied;
  std::vector<OldVersion> versions_;
  PieceSet published_;  // Pieces whose ranges are all published, and not known to differ.
  PieceSet undelivered_;
  std::size_t reverifying_ = 0;
  std::vector<Judgement> judgements_;
  std::shared_ptr<Assembly> assembly_;  // Only the assembler's thread uses it.
  std::shared_ptr<const OldCopy> old_copy_;
  OldSearch search_;
  Hashing hashing_;

  // The last members, so that their threads end before anything that they use.
  std::unique_ptr<Workers> verifier_;
  std::unique_ptr<Workers> assembler_;
};

}  // namespace libsync
