#pragma once

// The spool, and a map of all that we keep on a host's disk, in `<repo>/.libsync/`:
//
//   master.lock, minion.lock     held while a tick runs (TickLock)
//   spools.lock                  held for the moment in which a spool changes hands
//   master                       the name of the master that keeps its spools here (MasterId)
//   minion                       the name of this host (HostId)
//   gone-<role>-<random>/        discarded: a spool or tree that this role is deleting
//   <fingerprint>/               a spool: one payload, cut
//     owner-master, owner-minion   the run records; the last role to leave deletes the folder
//     manifest, p00000, p00001 …   verified, therefore served: rsyncd exports the repo
//     incoming/                    being pulled, or pulled and not verified yet; ours alone
//     incoming/2/                  the same of a second pull of a piece, whichever comes first
//     tree/                        being assembled, until it is published
//     former/                      the spool of an earlier run, which this one may have bytes of
//     stamps, digests              the master's: stamps of the first listing, announced digests
//   push/<fingerprint>/          pieces that a master with --push-to wrote here; unverified
//   replaced/<hash of a name>/   a replaced version of a payload (replaced.h); ours alone
//   receipt/<hash of a name>     the receipt for this name (Receipts)
//   runs/<begun_ms>-<run id>     the account of a run that ended (master/run_files.h)
//   hook                         the payload for which --after-publish has still to run
//   probe                        the file that a host pulls from itself before it offers anything
//
// A Spool knows the names in one spool and the acts on it. It decides nothing and holds no state
// but paths, so any thread may call it; the caller keeps two threads off one piece.
//
// A file gets its final name by rename, once its digest has proved right. So a process that dies at
// any point leaves no wrong file under a final name. A power cut may, since pieces are not fsynced:
// a later process hashes each piece that it finds before it counts.
//
// Served files have mode 0640, served folders 0750 (push/ 0770), and the group of the repo folder.
// So a module that runs as another user than cron's can read the spool, and no third user can. The
// module cannot enter incoming/ (0700), so no host can pull a piece that is not verified.
//
// All functions throw Failure (local) when the disk fails.

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "libsync/clock.h"
#include "libsync/core/attempt.h"
#include "libsync/core/digest.h"
#include "libsync/core/manifest.h"
#include "libsync/core/pieces.h"
#include "libsync/core/run_ids.h"
#include "libsync/core/run_record.h"
#include "libsync/core/verdict.h"
#include "os/byte_count.h"
#include "store/payload.h"
#include "store/tick_lock.h"

namespace libsync {

/// The prefix of the names of what a role has discarded. Each role deletes only that.
[[nodiscard]] std::string discarded_prefix(Role role);

class Descriptor;

/// One spool: the pieces of one payload, by fingerprint.
class Spool {
 public:
  /// `group` is the group of the module that serves the spool. Touches no disk.
  Spool(const std::filesystem::path& state_folder, const Fingerprint& fingerprint, unsigned group);

  [[nodiscard]] const Fingerprint& fingerprint() const { return fingerprint_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] std::filesystem::path manifest_path() const { return folder_ / "manifest"; }
  [[nodiscard]] std::filesystem::path piece_path(PieceNumber piece) const;
  [[nodiscard]] std::filesystem::path incoming_folder(Attempt attempt = Attempt::first) const;
  [[nodiscard]] std::filesystem::path incoming_path(PieceNumber piece,
                                                    Attempt attempt = Attempt::first) const;
  [[nodiscard]] std::filesystem::path pushed_folder() const { return pushed_; }
  [[nodiscard]] std::filesystem::path tree_folder() const { return folder_ / "tree"; }
  [[nodiscard]] std::filesystem::path former_folder() const { return folder_ / "former"; }
  [[nodiscard]] std::filesystem::path stamps_path() const { return folder_ / "stamps"; }
  [[nodiscard]] std::filesystem::path digests_path() const { return folder_ / "digests"; }

  /// Makes the folders if they are missing, and writes the run record durably. From then on the
  /// role of the record owns the spool.
  void assign(const RunRecord& record) const;

  /// The run record of a role; nothing if it does not own the spool, or if the file is malformed.
  [[nodiscard]] std::optional<RunRecord> record(Role role) const;

  /// The legible part of a run record that another version wrote; nothing if it has none.
  [[nodiscard]] std::optional<RunRecord> legible_record(Role role) const;

  /// When the run record of a role was written; nothing if it does not own the spool.
  [[nodiscard]] std::optional<FileTime> recorded_at(Role role) const;

  /// Discards tree/: it vanishes by one rename, and a Sweeper of the minion deletes it. False if it
  /// stays, or was not there.
  bool discard_tree() const;

  /// Makes the spool of an earlier run, which the minion owns alone, the former/ of this one. False
  /// if another role owns it, too, or if there is a former/ already.
  [[nodiscard]] bool inherit(const Spool& former) const;

  /// Discards former/. False if it stays, or was not there.
  bool discard_former() const;

  /// Deletes tree/. False if `stop` was requested before. Discards what cannot be deleted.
  bool clear_tree(const std::stop_token& stop) const;

  /// Deletes the files that pulls have left in incoming/, as far as the disk lets it. No pull may
  /// be running.
  void clear_incoming() const;

  /// Ends the ownership of a role. The last role to leave discards the spool, which vanishes by one
  /// rename. A Sweeper (sweeper.h) deletes it.
  void leave(Role role) const;

  /// Moves a pushed file into incoming/, where other users cannot put another one in its place, and
  /// gives it to this user. False if there is none of this size (if given). It passes through no
  /// symlink. It deletes what is no regular file or has a second name, since another user could
  /// make either lead to a file of ours.
  [[nodiscard]] bool fetch_pushed(const std::string& name,
                                  const std::optional<std::uint64_t>& bytes) const;

  /// Pieces that have their final name and the right size. Their bytes may be wrong.
  [[nodiscard]] PieceSet pieces_found(const Cut& cut) const;

  /// Prepares incoming/ for the pull of a piece. True if a file is there with which the pull
  /// begins: a partial one, or a longer one that has old bytes (minion/prefill.h). It deletes one
  /// that is no regular file. It deletes one of exactly `bytes`: no process has judged it, and
  /// rsync might mistake it for the piece. A file that is left has the mode of a served one: rsync
  /// sets the mode that it finds again, and may do so late.
  [[nodiscard]] bool make_way(PieceNumber piece, std::uint64_t bytes,
                              Attempt attempt = Attempt::first) const;

  /// Makes an empty file for a piece of 1 MiB or more, for which expect_writes()
  /// (file_ranges.h) allocates blocks. No other piece gets a file.
  void expect(PieceNumber piece, std::uint64_t bytes, Attempt attempt = Attempt::first) const;

  /// Compares the digest of a piece file and changes nothing. `count` grows by the bytes that this
  /// function and the next ones have hashed. The verdict is absent if no regular
  /// file of this size is there, or if `stop` was requested.
  [[nodiscard]] static Verdict inspect(const std::filesystem::path& path, std::uint64_t bytes,
                                       const Digest& digest, const std::stop_token& stop,
                                       ByteCount* count = nullptr);

  /// Compares the digest of a piece file. A good one gets its final name, mode and group, and a bad
  /// one is deleted. A shorter file is absent, and stays for the next pull to continue. `from` may
  /// be the final name already.
  [[nodiscard]] Verdict accept(const std::filesystem::path& from, PieceNumber piece,
                               std::uint64_t bytes, const Digest& digest,
                               const std::stop_token& stop, ByteCount* count = nullptr) const;

  /// The same, where `proof` judges an open file of this size.
  [[nodiscard]] Verdict accept(const std::filesystem::path& from, PieceNumber piece,
                               std::uint64_t bytes,
                               const std::function<Verdict(const Descriptor&)>& proof) const;

  /// Compares the digest of a piece that has its final name. A good one gets its mode and group
  /// again; a bad one stays until it is replaced.
  [[nodiscard]] Verdict reverify(PieceNumber piece, std::uint64_t bytes, const Digest& digest,
                                 const std::stop_token& stop, ByteCount* count = nullptr) const;

  /// The manifest in a file; nothing unless the file has this digest. Throws Failure (local) if the
  /// digest is right and the content is malformed: the versions of two hosts differ. Changes
  /// nothing.
  [[nodiscard]] static std::optional<Manifest> read_manifest(const std::filesystem::path& path,
                                                             const Digest& digest);

  /// The same for a file in incoming/. A good one gets its final name, and a bad one is deleted.
  [[nodiscard]] std::optional<Manifest> accept_manifest(const std::filesystem::path& from,
                                                        const Digest& digest) const;

  /// Writes a file durably, with the mode and group that let the module serve it.
  void write_served(const std::filesystem::path& path, std::string_view content) const;

  /// Gives a file of the spool to this user, with the mode and group that let the module serve it.
  void make_servable(const std::filesystem::path& path) const;

 private:
  /// Deletes what other pulls of a verified piece have left in incoming/.
  void clear_incoming(PieceNumber piece) const;
  void discard_pushed(Role role) const;
  [[nodiscard]] std::filesystem::path fresh_discarded(Role role) const;
  void make_servable(const Descriptor& file) const;
  [[nodiscard]] std::filesystem::path record_path(Role role) const;

  Fingerprint fingerprint_;
  std::filesystem::path folder_;
  std::filesystem::path pushed_;
  unsigned group_;
};

}  // namespace libsync
