#pragma once

// From pieces to a published payload.
//
// An Assembly builds the payload in the spool's tree/ folder, which nobody else can enter. It uses
// verified pieces, and equal ranges of the payload that is already published. It gives every entry
// its mode and times, puts the tree on the disk, and swaps it with the destination in one step.
// Every path lookup under the destination finds the old payload or the new one, never a mixture and
// never nothing.
//
// An Assembly publishes nothing but proven bytes: it compares the digest of a piece with the bytes
// that it copied into the tree. A piece that was good when it came into the spool (store/spool.h)
// proves nothing of a later copy. There are no hard links, because users may write to a published
// file, and the piece must not change.
//
// Death in the middle leaves tree/ half built, and the destination as it was. The next Assembly
// starts anew from the pieces. The swap leaves the former payload among the replaced versions
// (store/replaced.h).
//
// If a call fails, later ones are safe to make, and publish() must not be one of them. The same
// holds for a call that a stop token has ended early.
//
// One thread at a time uses it, but any thread may ask for its work. Failures throw (local).

#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "libsync/core/digest.h"
#include "libsync/core/manifest.h"
#include "libsync/core/ownership.h"
#include "libsync/core/pieces.h"
#include "libsync/core/verdict.h"
#include "minion/local_work.h"
#include "minion/only_here.h"
#include "store/payload.h"
#include "store/spool.h"

namespace libsync {

class Descriptor;
class OldCopy;

class Assembly {
 public:
  Assembly(const Spool& spool, Manifest manifest, std::uint64_t piece_bytes,
           std::filesystem::path repo, std::string name, Ownership ownership);
  ~Assembly();

  [[nodiscard]] const Manifest& manifest() const { return manifest_; }

  /// Its work of this moment, for a person; empty if there is none. For any thread.
  [[nodiscard]] std::string work() const { return work_.text(); }

  /// An old payload is being listed, with so many entries so far.
  void note_listing(std::size_t entries) const;

  /// Whether the destination has the same entries: kinds, modes, times, sizes, names and targets.
  /// Contents do not matter, nor does the time of the top folder if this user may set it.
  [[nodiscard]] bool has_equal_entries(const std::stop_token& stop = {}) const;

  /// Sets the time of the published top folder, which a death inside publish() may have left wrong.
  /// REQUIRES: has_equal_entries().
  void restore_time() const;

  /// Whether the old ranges of a piece have this digest.
  [[nodiscard]] bool is_equal(PieceNumber piece, const Digest& digest, const OldCopy& old,
                              const std::stop_token& stop) const;

  /// Empties tree/ and makes the folders, links and empty files in it. Must be called before any of
  /// the next functions.
  void begin(const std::stop_token& stop = {});

  /// Copies the old ranges of a piece into the tree, unless it is in place already. True if the
  /// copy has this digest.
  [[nodiscard]] bool adopt(PieceNumber piece, const Digest& digest, const OldCopy& old,
                           const std::stop_token& stop);

  /// Copies a piece of the spool into the tree, unless it is in place already. Then hashes the
  /// piece, because a byte that changed before the copy is in both. Only a good piece is in place.
  /// A bad one has changed since it was verified, and an absent one is not in the spool.
  ///
  /// The disk begins to write ranges of a MiB and more at once, so that little is left to write
  /// after the last piece. On ext4 they pass the file cache if they can (os/file_ranges.h). A
  /// complete file gets its mode, times and owner, and goes to the disk together with some others.
  [[nodiscard]] Verdict splice(PieceNumber piece, const Digest& digest,
                               const std::stop_token& stop);

  /// Does the same with a file that nobody has verified. The verdict is that on the file, even if
  /// the piece is in place already. REQUIRES: the file has the size of the piece.
  [[nodiscard]] Verdict splice(PieceNumber piece, const Descriptor& from, const Digest& digest,
                               const std::stop_token& stop);

  /// Sets the modes, times and owners of all other entries, and puts the tree on the disk.
  /// REQUIRES: all pieces are in place.
  void complete(const std::stop_token& stop = {});

  /// The files that only the former folder has; none if the payload is a file.
  [[nodiscard]] OnlyHere find_only_here(const std::stop_token& stop) const;

  /// Swaps the tree with the destination, and sets the time of the top folder again, which some
  /// file systems change. The former payload is a replaced version afterwards.
  void publish();

  /// Deletes tree/. False if it was stopped.
  bool clear(const std::stop_token& stop = {}) const;

 private:
  [[nodiscard]] std::filesystem::path working_path(const Entry& entry) const;
  [[nodiscard]] Descriptor open_working_file(const Entry& entry, unsigned mode);
  [[nodiscard]] Descriptor open_for(const Segment& segment);
  [[nodiscard]] std::uint32_t mode_of(const Entry& entry) const;
  [[nodiscard]] bool copy_segment(const Descriptor& from, std::uint64_t offset,
                                  const Segment& segment, const Descriptor& file,
                                  const std::stop_token& stop) const;
  [[nodiscard]] bool add_segment(const Segment& segment, Descriptor file,
                                 const std::stop_token& stop);
  void put_in_place(PieceNumber piece);
  void finish_link(const Entry& entry) const;
  [[nodiscard]] bool finish(Descriptor file, const Entry& entry, const std::stop_token& stop);
  [[nodiscard]] bool put_on_disk(const std::stop_token& stop);
  [[nodiscard]] bool is_large() const;

  Spool spool_;
  std::filesystem::path top_;  // The payload in tree/.
  Manifest manifest_;
  Layout layout_;
  std::filesystem::path repo_;
  std::string name_;
  Ownership ownership_;
  std::optional<unsigned> group_;  // The group of a setgid repo.
  std::size_t sync_together_;      // Complete files that wait for the disk together.
  std::size_t kept_open_;          // Files of a piece that stay open until the verdict.
  PieceSet in_place_;
  std::unique_ptr<Descriptor> opened_;  // The folder in tree/ that the last file is in.
  std::string opened_name_;
  std::vector<std::uint64_t> missing_bytes_;  // One number for each entry.
  std::vector<Descriptor> unsynced_;          // Complete files of a tree that is not large.
  std::size_t unsynced_files_ = 0;
  mutable LocalWork work_;
};

}  // namespace libsync
