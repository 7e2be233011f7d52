#pragma once

// From pieces to a published payload.
//
// An Assembly builds the payload in the spool's tree/ folder, which nobody else can enter, from
// verified pieces and from equal ranges of what is already published; gives every entry its mode
// and times; puts it on the disk; and swaps it with the destination in one step. Every path lookup
// under the destination finds the old payload or the new one, never a mixture and never nothing.
//
// What is published is what was proven: the digest of a piece is compared with the bytes that were
// copied into the tree, whether they come from the spool or from the published payload. That a
// piece was good when it came into the spool (spool.h) proves nothing of a later copy. Hard links
// are never used: the published file may be written to, the piece must not change.
//
// Death in the middle leaves tree/ half built, and the destination as it was: the next Assembly
// starts anew from the pieces. After the swap, a folder that was replaced is in tree/ and goes with
// it; a file is replaced by rename.
//
// Used by one thread at a time. Failures throw (local).

#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "libsync/core/digest.h"
#include "libsync/core/manifest.h"
#include "libsync/core/ownership.h"
#include "libsync/core/pieces.h"
#include "libsync/core/verdict.h"
#include "store/payload.h"
#include "store/spool.h"

namespace libsync {

class Descriptor;

/// Why nothing may be published as `name` in `repo`: it is, or holds, a mount point, is a symlink,
/// or of another kind than `kind` (if given).
[[nodiscard]] std::optional<Refusal> refuse_destination(const std::filesystem::path& repo,
                                                        const std::string& name,
                                                        const std::optional<EntryKind>& kind);

class Assembly {
 public:
  Assembly(const Spool& spool, Manifest manifest, std::uint64_t piece_bytes,
           std::filesystem::path repo, std::string name, Ownership ownership);
  ~Assembly();

  [[nodiscard]] const Manifest& manifest() const { return manifest_; }

  /// Whether what is published has the same entries: the same kinds, modes, times, sizes, names and
  /// targets. Says nothing about contents. The time of the top folder need not be right where this
  /// user may set it.
  [[nodiscard]] bool looks_published() const;

  /// Sets the time of the published top folder, if it is not right: a death between the swap and
  /// the end of publish() may have left it so. REQUIRES: looks_published().
  void restore_time() const;

  /// Pieces all of whose ranges exist in what is published.
  [[nodiscard]] PieceSet candidates() const;

  /// Whether the published ranges of a piece have this digest. Writes nothing.
  [[nodiscard]] bool is_published(PieceNumber piece, const Digest& digest,
                                  const std::stop_token& stop) const;

  /// Empties tree/ and makes the folders, links and empty files in it. To be called before any of
  /// the following.
  void begin();

  /// Copies the published ranges of a piece into the tree, unless it is in place already. True if
  /// what is then there has this digest.
  [[nodiscard]] bool adopt(PieceNumber piece, const Digest& digest, const std::stop_token& stop);

  /// Copies a piece of the spool into the tree, unless it is in place already, and hashes it after
  /// that: a byte that changed before the copy is in both. Good: it is in place. Bad, or absent:
  /// the piece has changed since it was verified, or is not there; it is not in place.
  ///
  /// The disk begins to write ranges of a MiB and more at once, so that little is left to write
  /// after the last piece. On ext4 dense ones that begin with a page in both files are on the disk
  /// already when this returns, up to their last whole page, and have no place in the file cache
  /// (copy_range_past_cache in file_ranges.h). A file whose last bytes these were gets its mode,
  /// times and owner, and goes to the disk together with some others.
  [[nodiscard]] Verdict splice(PieceNumber piece, const Digest& digest,
                               const std::stop_token& stop);

  /// The same with a file that nobody has verified. The verdict is that on the file, also where the
  /// piece is in place already. REQUIRES: the file has the size of the piece.
  [[nodiscard]] Verdict splice(PieceNumber piece, const Descriptor& from, const Digest& digest,
                               const std::stop_token& stop);

  /// All pieces are in place: modes, times, owners of all else, and all of it on the disk.
  void complete();

  /// Swaps the tree with the destination, and sets the time of the top folder again, which some
  /// file systems change. A folder that was there before is then in tree/.
  void publish();

  /// Deletes tree/.
  void clear() const;

 private:
  [[nodiscard]] std::filesystem::path working_path(const Entry& entry) const;
  [[nodiscard]] Descriptor open_working_file(const Entry& entry, unsigned mode);
  [[nodiscard]] Descriptor open_for(const Segment& segment);
  [[nodiscard]] std::uint32_t mode_of(const Entry& entry) const;
  [[nodiscard]] bool copy_segment(const Descriptor& from, std::uint64_t offset,
                                  const Segment& segment, const Descriptor& file) const;
  void take(const Segment& segment, Descriptor file);
  void finish_link(const Entry& entry) const;
  void finish(Descriptor file, const Entry& entry);
  void put_on_disk();
  [[nodiscard]] bool is_large() const;

  Spool spool_;
  std::filesystem::path top_;  // What is assembled, in tree/. Made once: there are many entries.
  Manifest manifest_;
  Layout layout_;
  std::filesystem::path repo_;
  std::string name_;
  Ownership ownership_;
  PieceSet in_place_;
  std::unique_ptr<Descriptor> opened_;  // The folder of the last file in tree/.
  std::string opened_name_;
  std::vector<std::uint64_t> missing_bytes_;  // Of each entry.
  std::vector<Descriptor> unsynced_;          // Finished, in a tree that is not large.
  std::size_t unsynced_files_ = 0;
};

}  // namespace libsync
