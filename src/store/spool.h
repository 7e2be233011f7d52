#pragma once

// What we keep on a host's disk, all of it in `<repo>/.libsync/`:
//
//   master.lock, minion.lock     held while a tick runs (TickLock)
//   spools.lock                  held for the moment in which a spool changes hands
//   master                       the name of the master that keeps its spools here (MasterId)
//   gone-<role>-<random>/        a spool that this role is deleting
//   <fingerprint>/               a spool: one payload, cut
//     owner-master, owner-minion   the run record; the folder goes when both are gone
//     manifest, p00000, p00001 …   verified, therefore served: rsyncd exports the repo
//     incoming/                    being pulled, or pulled and not verified yet; ours alone
//     tree/                        being assembled, then exchanged with the destination
//     stamps, digests              of the master: the first look at the source, what was announced
//   push/<fingerprint>/          what a master with --push-to wrote here; unverified
//   receipt/<hash of a name>     what was published last under this name
//   hook                         what --after-publish has still to be run for
//   probe                        what a host pulls from itself before it offers anything
//
// Spool is the names and the acts on one spool; it decides nothing and holds no state but paths.
// Death in the middle: a file has its final name only when its digest was right, by rename. After a
// power cut a file with its final name may still be torn, since pieces are not fsynced: whoever
// finds a piece from an earlier process hashes it again before it counts.
//
// Modes of what is served: files 0640, folders 0750 (push/ 0770), group that of the repo folder, so
// that a module that runs as another user than cron's can read the spool and nobody else can. The
// module cannot enter incoming/ (0700): nobody can pull what is not proven. Failures throw (local).

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "libsync/clock.h"
#include "libsync/core/digest.h"
#include "libsync/core/manifest.h"
#include "libsync/core/pieces.h"
#include "libsync/core/run_ids.h"
#include "libsync/core/run_record.h"
#include "libsync/core/verdict.h"
#include "store/payload.h"
#include "store/tick_lock.h"

namespace libsync {

/// How the names of spools begin that a role is deleting. A role deletes what it gave up, and
/// nothing else.
[[nodiscard]] std::string discarded_prefix(Role role);

class Descriptor;

class Spool {
 public:
  Spool(const std::filesystem::path& state_folder, const Fingerprint& fingerprint, unsigned group);

  [[nodiscard]] const Fingerprint& fingerprint() const { return fingerprint_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] std::filesystem::path manifest_path() const { return folder_ / "manifest"; }
  [[nodiscard]] std::filesystem::path piece_path(PieceNumber piece) const;
  [[nodiscard]] std::filesystem::path incoming_folder() const { return folder_ / "incoming"; }
  [[nodiscard]] std::filesystem::path incoming_path(PieceNumber piece) const;
  [[nodiscard]] std::filesystem::path pushed_folder() const { return pushed_; }
  [[nodiscard]] std::filesystem::path tree_folder() const { return folder_ / "tree"; }
  [[nodiscard]] std::filesystem::path stamps_path() const { return folder_ / "stamps"; }
  [[nodiscard]] std::filesystem::path digests_path() const { return folder_ / "digests"; }

  /// Makes the folders and writes the owner.
  void assign(const RunRecord& record) const;

  /// Nothing if this role does not own the spool (or its file cannot be understood).
  [[nodiscard]] std::optional<RunRecord> record(Role role) const;

  /// Deletes tree/. What may not be deleted is put where sweep() finds it.
  void clear_tree() const;

  /// The role needs the spool no more. The last one to leave deletes it: in one step it is gone,
  /// and what a death in the middle leaves is swept.
  void leave(Role role) const;

  /// Pieces that are there under their final name and have the right size. Nothing is proven.
  [[nodiscard]] PieceSet pieces_found(const Cut& cut) const;

  /// A piece is about to be pulled: deletes what came of it before if that is as long as the piece
  /// or longer, or no file: it was cut off, or never judged, and rsync might take it for the piece
  /// itself. Of a dense piece of 1 MiB or more the file is made, empty, and has its blocks at once
  /// where that makes writing it cheaper (expect_writes in file_ranges.h). A file that is there
  /// then has the mode of a servable one: rsync sets the mode that it finds again, and may do so
  /// late.
  void make_way(PieceNumber piece, std::uint64_t bytes, Density density) const;

  /// The digest of a piece file is compared, and nothing else done.
  [[nodiscard]] static Verdict inspect(const std::filesystem::path& path, std::uint64_t bytes,
                                       const Digest& digest, const std::stop_token& stop);

  /// The digest of a piece file is compared. Good: it now has its final name, mode and group. Bad:
  /// it is deleted. `from` may be its final name already.
  [[nodiscard]] Verdict accept(const std::filesystem::path& from, PieceNumber piece,
                               std::uint64_t bytes, const Digest& digest,
                               const std::stop_token& stop) const;

  /// The same where the caller compares the digest, of a file that has this size.
  [[nodiscard]] Verdict accept(const std::filesystem::path& from, PieceNumber piece,
                               std::uint64_t bytes,
                               const std::function<Verdict(const Descriptor&)>& proof) const;

  /// Compares the digest of a piece that has its final name. A good one gets its mode and group
  /// again, a bad one stays.
  [[nodiscard]] Verdict reverify(PieceNumber piece, std::uint64_t bytes, const Digest& digest,
                                 const std::stop_token& stop) const;

  /// The manifest, if the file has this digest; nothing else is done.
  [[nodiscard]] static std::optional<Manifest> read_manifest(const std::filesystem::path& path,
                                                             const Digest& digest);

  /// The same for a file of ours: good, it then has its final name; bad, it is deleted.
  [[nodiscard]] std::optional<Manifest> accept_manifest(const std::filesystem::path& from,
                                                        const Digest& digest) const;

  /// Writes a file under its final name, with mode and group, for the module to serve.
  void write_served(const std::filesystem::path& path, std::string_view content) const;

  /// Makes a file of the spool ours, with its mode and the module's group.
  void make_servable(const std::filesystem::path& path) const;

 private:
  [[nodiscard]] std::filesystem::path make_own(const std::filesystem::path& from) const;
  void make_servable(const Descriptor& file) const;
  [[nodiscard]] std::filesystem::path record_path(Role role) const;

  Fingerprint fingerprint_;
  std::filesystem::path folder_;
  std::filesystem::path pushed_;
  unsigned group_;
};

}  // namespace libsync
