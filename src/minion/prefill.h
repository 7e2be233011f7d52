#pragma once

// Fills the files of pieces with old bytes before rsync pulls them, so that only the difference
// moves.
//
// The files lie in incoming/, which only this user can enter, until a digest has proved them. A
// filled file is longer than its piece, so no process mistakes it for one that has arrived. Once
// rsync has cut it to the length of the piece, only the end of the pull shows that it is whole
// (running_pulls.h). A pull that breaks off leaves a file that is as good for the next one.
//
// A thread of its own copies the bytes, since reading the old payload may wait for a disk. A file
// that cannot be filled is pulled whole. Belongs to one thread.
//
// Death in the middle leaves files in incoming/, with which the next pulls of their pieces begin.

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "libsync/core/pieces.h"
#include "libsync/transfer.h"
#include "minion/assignment.h"
#include "minion/old_copy.h"
#include "minion/savings.h"
#include "os/byte_count.h"
#include "store/spool.h"

namespace libsync {

class Workers;

/// Old bytes that pulls may begin with.
struct Basis {
  std::shared_ptr<const OldCopy> old;  ///< Nothing: there are none.
  Likeness likeness = Likeness::unknown;
  PieceNumber spare_pieces = 0;  ///< Files that may be filled at a time: each needs more room.
};

class Prefill {
 public:
  /// Whether a pull begins whose files are ready, or has ended meanwhile.
  enum class Pull { begins, has_ended };
  using Then = std::function<Pull()>;

  Prefill(Spool spool, Cut cut);
  ~Prefill();

  /// Makes the files of an assignment ready for its pull. True if they are. If not, collect() calls
  /// `then` when they are: the thread may be filling them for an earlier pull that has ended.
  /// Deletes them if no pull needs them any more.
  [[nodiscard]] bool prepare(const Assignment& assignment, const Basis& basis, Then then);

  /// rsync has delivered a file.
  void arrived(const FileArrived& file);

  /// Appends the descriptor that is readable when collect() has work.
  void append_descriptors(std::vector<int>& descriptors) const;
  void collect();

  /// The work of the thread, for a person; empty if it has none.
  [[nodiscard]] std::string work() const;

 private:
  struct File {
    PieceNumber piece;
    std::filesystem::path path;
  };

  Spool spool_;
  Cut cut_;
  Savings savings_;
  std::set<PieceNumber> filled_;  // Not arrived yet.
  // The files that the thread fills or will fill, once for each pull that waits for it.
  std::multiset<std::filesystem::path> filling_;
  std::shared_ptr<ByteCount> copied_ = std::make_shared<ByteCount>(0);

  // Nothing before the first file. The last member, so that its thread ends before the others.
  std::unique_ptr<Workers> filler_;
};

}  // namespace libsync
