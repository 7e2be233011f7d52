#pragma once

// What we keep on a host's disk, all of it in `<repo>/.libsync/`:
//
//   master.lock, minion.lock     held while a tick runs (TickLock)
//   spools.lock                  held for the moment in which a spool changes hands
//   master                       the name of the master that keeps its spools here (MasterId)
//   gone-<role>-<random>/        a spool that this role is deleting
//   <fingerprint>/               a spool: one payload, cut
//     owner-master, owner-minion   whose it is (Owner); the folder goes when both are gone
//     manifest, p00000, p00001 …   verified, therefore served: rsyncd exports the repo
//     incoming/                    being pulled, or pulled and not verified yet
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
// that a module that runs as another user than cron's can read the spool and nobody else can.
// Failures throw (local).

#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "libsync/clock.h"
#include "libsync/core/digest.h"
#include "libsync/core/manifest.h"
#include "store/payload.h"
#include "libsync/core/pieces.h"
#include "libsync/core/run_ids.h"

namespace libsync {

enum class Role { master, minion };

/// How a run stands, for its spool.
enum class Standing {
  prepared,     ///< Not begun yet: as good as not there.
  running,      ///< Its spool is needed.
  ended,        ///< It ended with every host: the spool may go.
  ended_short,  ///< It ended without some: the origin keeps the spool until the next run.
};

/// Whose a spool is. Written durably before anything else is put into the spool.
struct Owner {
  Role role = Role::minion;
  std::string prefix;  ///< Of the Redis keys: a spool of another fleet is left alone.
  RunId run;
  std::string task;
  Fingerprint
      content;  ///< Master: fingerprint_of with piece size zero, the same however it is cut.
  std::uint64_t piece_bytes = 0;
  std::uint64_t begun_ms = 0;  ///< Minion: when the run began, as the coordinator has it.
  Standing standing = Standing::running;
  std::size_t expected_count = 0;           ///< Master: `--minions`; 0 if hosts are named.
  std::vector<std::string> expected_hosts;  ///< Master: who was expected when the run began.
};

enum class Verdict { good, bad, absent };

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

  /// `p00017`: the name of a piece wherever it is a file.
  [[nodiscard]] static std::string piece_name(PieceNumber piece);

  /// Makes the folders and writes the owner.
  void take(const Owner& owner) const;

  /// Nothing if this role does not own the spool (or its file cannot be understood).
  [[nodiscard]] std::optional<Owner> owner(Role role) const;

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
  /// where that makes writing it cheaper (expect_writes in disk_ranges.h).
  void make_way(PieceNumber piece, std::uint64_t bytes, Density density) const;

  /// The digest of a piece file is compared, and nothing else done.
  [[nodiscard]] static Verdict inspect(const std::filesystem::path& path, std::uint64_t bytes,
                                       const Digest& digest, const std::stop_token& stop);

  /// The digest of a piece file is compared. Good: it now has its final name, mode and group. Bad:
  /// it is deleted. `from` may be its final name already.
  [[nodiscard]] Verdict accept(const std::filesystem::path& from, PieceNumber piece,
                               std::uint64_t bytes, const Digest& digest,
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
  [[nodiscard]] std::filesystem::path take_over(const std::filesystem::path& from) const;
  [[nodiscard]] std::filesystem::path owner_path(Role role) const;

  Fingerprint fingerprint_;
  std::filesystem::path folder_;
  std::filesystem::path pushed_;
  unsigned group_;
};

/// `<repo>/.libsync` itself.
class StateFolder {
 public:
  /// Makes it if it is not there. Refuses (Failure, local) one that is a symlink, that belongs to
  /// another user, or that others may write to; and a repo that is missing.
  explicit StateFolder(const std::filesystem::path& repo);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] Spool spool(const Fingerprint& fingerprint) const;

  /// Every spool that a role owns under this prefix.
  [[nodiscard]] std::vector<std::pair<Spool, Owner>> spools_of(Role role,
                                                               const std::string& prefix) const;

  /// --after-publish is to be run once this has been published: durable, so that a death between
  /// the swap and the command's end does not cost the command.
  void owe_hook(const std::string& payload_name, const Digest& manifest) const;

  /// What it is owed for, by name: published, and the command has not ended since.
  [[nodiscard]] std::optional<std::string> hook_owed() const;
  void hook_has_run() const;

  [[nodiscard]] std::filesystem::path lock_path(Role role) const;

  /// The master that keeps its spools here; made at its first tick.
  [[nodiscard]] MasterId master_id() const;

  /// Deletes what is left of spools that were being deleted. Why some of it could not be: a file
  /// that may not be deleted costs its space, and no run.
  [[nodiscard]] std::vector<std::string> sweep(Role role) const;

  /// Writes down what is published at `destination`, for a later tick to see whether it is still
  /// there.
  void write_receipt(const std::filesystem::path& destination, const Digest& manifest) const;

  /// Whether what stands at `destination` is what was published from this manifest: the very file
  /// or folder, which may have been written to since.
  [[nodiscard]] bool has_receipt(const std::filesystem::path& destination,
                                 const Digest& manifest) const;

  /// Writes a file that the module can serve, and returns its name below the module: what a host
  /// pulls from itself. Its content differs every time.
  [[nodiscard]] std::string write_probe(std::string_view content) const;

 private:
  [[nodiscard]] std::filesystem::path receipt_path(const std::string& payload_name) const;

  std::filesystem::path path_;
  unsigned group_;
};

/// The lock that keeps two ticks of one role on one host apart: flock(2) on a file, so that it goes
/// with the last process that holds it. Our rsync children inherit it on purpose: while one of them
/// lives on after we died, no other tick writes beside it.
class TickLock {
 public:
  /// Somebody else has it: the process, as that one wrote it into the file, and since when.
  struct Held {
    std::string by;
    std::optional<std::chrono::system_clock::duration> age;
  };

  /// Waits up to `patience`, since ticks that linger end just before the next one begins.
  [[nodiscard]] static std::variant<TickLock, Held> take(const std::filesystem::path& path,
                                                         Duration patience, Clock& clock);

  /// For children to inherit.
  [[nodiscard]] int descriptor() const;

 private:
  explicit TickLock(std::shared_ptr<const Descriptor> file) : file_(std::move(file)) {}

  std::shared_ptr<const Descriptor> file_;
};

/// The stamps of a payload as text, to be kept and compared: a tick that takes over the staging of
/// an earlier one compares the source with what that one saw first.
[[nodiscard]] std::string encode_stamps(const std::vector<Stamp>& stamps);

}  // namespace libsync
