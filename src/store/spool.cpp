#include "store/spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>

#include "libsync/core/failure.h"
#include "libsync/core/number.h"
#include "libsync/core/pieces.h"
#include "libsync/core/run_record.h"
#include "libsync/core/verdict.h"
#include "os/descriptor.h"
#include "os/file_ranges.h"
#include "os/files.h"
#include "os/random.h"
#include "os/removal.h"
#include "store/served_files.h"

namespace libsync {
namespace {

// Longest run record that is read. It holds a path and the expected hosts; 100,000 addresses fit.
constexpr std::size_t kRecordBytes = std::size_t{8} << 20U;

// Mode of incoming/.
constexpr unsigned kPrivateFolderMode = 0700;

// Guards the moment in which a spool changes hands. The two programs share spools on the master's
// own host.
Descriptor lock_spools(const std::filesystem::path& state_folder) {
  auto file = open_file(state_folder / "spools.lock", O_RDWR | O_CREAT, 0600);
  while (flock(file.number(), LOCK_EX) != 0) {
    if (errno != EINTR) throw_disk_failure("lock", state_folder / "spools.lock");
  }
  return file;
}

void set_mode(const std::filesystem::path& path, unsigned mode) {
  const auto status = status_of(path);
  if (status && (status->st_mode & 07777U) == mode) return;
  if (chmod(path.c_str(), mode) != 0) throw_disk_failure("set the mode of", path);
}

Verdict verdict_on(const Descriptor& file, std::uint64_t bytes, const Digest& digest,
                   const std::stop_token& stop, ByteCount* count) {
  Hasher hasher;
  if (!hash_range(hasher, file, 0, bytes, stop, count)) return Verdict::absent;
  return hasher.finish() == digest ? Verdict::good : Verdict::bad;
}

bool is_file_of_size(const std::filesystem::path& path, std::uint64_t bytes) {
  const auto status = status_of(path);
  return status && S_ISREG(status->st_mode) && static_cast<std::uint64_t>(status->st_size) == bytes;
}

}  // namespace

std::string discarded_prefix(Role role) {
  return role == Role::master ? "gone-master-" : "gone-minion-";
}

Spool::Spool(const std::filesystem::path& state_folder, const Fingerprint& fingerprint,
             unsigned group)
    : fingerprint_(fingerprint),
      folder_(state_folder / fingerprint.text()),
      pushed_(state_folder / "push" / fingerprint.text()),
      group_(group) {}

std::filesystem::path Spool::piece_path(PieceNumber piece) const {
  return folder_ / piece_name(piece);
}

std::filesystem::path Spool::incoming_folder(Attempt attempt) const {
  const auto first = folder_ / "incoming";
  return attempt == Attempt::first ? first : first / "2";
}

std::filesystem::path Spool::incoming_path(PieceNumber piece, Attempt attempt) const {
  return incoming_folder(attempt) / piece_name(piece);
}

std::filesystem::path Spool::record_path(Role role) const {
  return folder_ / (role == Role::master ? "owner-master" : "owner-minion");
}

void Spool::assign(const RunRecord& record) const {
  const auto lock = lock_spools(folder_.parent_path());
  make_folder(folder_, kServedFolderMode);
  set_mode(folder_, kServedFolderMode);  // A death inside inherit() leaves it private.
  give_to_group(folder_, group_);
  make_folder(incoming_folder(), kPrivateFolderMode);
  make_folder(incoming_folder(Attempt::second), kPrivateFolderMode);
  // Former versions made this folder with a mode that lets the group enter.
  set_mode(incoming_folder(), kPrivateFolderMode);
  replace_file(record_path(record.role), encode(record), kServedFileMode);
}

std::optional<RunRecord> Spool::record(Role role) const {
  const auto text = read_file(record_path(role), kRecordBytes);
  return text ? decode_run_record(role, *text) : std::nullopt;
}

std::optional<RunRecord> Spool::legible_record(Role role) const {
  const auto text = read_file(record_path(role), kRecordBytes);
  return text ? decode_run_record(role, *text, UnknownKeys::are_skipped) : std::nullopt;
}

std::optional<FileTime> Spool::recorded_at(Role role) const {
  const auto status = status_of(record_path(role));
  return status ? std::optional<FileTime>(mtime_of(*status)) : std::nullopt;
}

std::filesystem::path Spool::fresh_discarded(Role role) const {
  return folder_.parent_path() / (discarded_prefix(role) + random_name<Token>().text());
}

void Spool::leave(Role role) const {
  const Role other = role == Role::master ? Role::minion : Role::master;
  const auto is_shared = [&] { return status_of(record_path(other)).has_value(); };
  // The record is the last to go, because no later tick finds push/ without it.
  if (!is_shared()) discard_pushed(role);
  const auto lock = lock_spools(folder_.parent_path());
  if (is_shared()) return remove_file(record_path(role));
  if (status_of(folder_)) rename_path(folder_, fresh_discarded(role));
}

void Spool::discard_pushed(Role role) const {
  if (rename(pushed_.c_str(), fresh_discarded(role).c_str()) == 0 || errno == ENOENT) return;
  // A folder of the daemon's user cannot be moved, but its files can be deleted.
  static_cast<void>(try_remove_tree(pushed_));
}

bool Spool::discard_tree() const {
  return rename(tree_folder().c_str(), fresh_discarded(Role::minion).c_str()) == 0;
}

bool Spool::inherit(const Spool& former) const {
  const auto is_master_there = [&] { return status_of(former.record_path(Role::master)); };
  if (status_of(former_folder()) || is_master_there()) return false;
  former.discard_pushed(Role::minion);
  // One former spool is enough: a chain of them would grow with each run that ends early.
  if (status_of(former.former_folder()) && !former.discard_former()) return false;
  static_cast<void>(former.discard_tree());  // It is a second copy of the pieces.
  const auto lock = lock_spools(folder_.parent_path());
  if (is_master_there()) return false;
  set_mode(former.folder_, kPrivateFolderMode);
  rename_path(former.folder_, former_folder());
  return true;
}

bool Spool::discard_former() const {
  return rename(former_folder().c_str(), fresh_discarded(Role::minion).c_str()) == 0;
}

bool Spool::clear_tree(const std::stop_token& stop) const {
  try {
    return remove_tree(tree_folder(), stop);
  } catch (const Failure&) {
    if (!discard_tree()) throw;
    return true;
  }
}

bool Spool::fetch_pushed(const std::string& name, const std::optional<std::uint64_t>& bytes) const {
  const Descriptor folder(open(pushed_.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!folder || fstatat(folder.number(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return false;
  }
  const auto is_plain = [](const struct stat& found) {
    return S_ISREG(found.st_mode) && found.st_nlink == 1;
  };
  if (!is_plain(status)) {
    static_cast<void>(unlinkat(folder.number(), name.c_str(), 0));
    return false;
  }
  if (bytes && static_cast<std::uint64_t>(status.st_size) != *bytes) return false;
  const auto own = incoming_folder() / name;
  if (renameat(folder.number(), name.c_str(), AT_FDCWD, own.c_str()) != 0) {
    throw_disk_failure("rename to", own);
  }
  // Another user may have changed the name meanwhile.
  const auto moved = status_of(own);
  if (moved && is_plain(*moved)) {
    make_servable(own);
    return true;
  }
  remove_tree(own);
  return false;
}

PieceSet Spool::pieces_found(const Cut& cut) const {
  PieceSet found(cut.pieces());
  for (PieceNumber piece = 0; piece < cut.pieces(); ++piece) {
    if (is_file_of_size(piece_path(piece), cut.bytes_of(piece))) found.insert(piece);
  }
  return found;
}

void Spool::clear_incoming() const {
  for (const auto attempt : {Attempt::first, Attempt::second}) {
    const auto folder = incoming_folder(attempt);
    for (const auto& name : names_in(folder)) static_cast<void>(unlink((folder / name).c_str()));
  }
}

void Spool::clear_incoming(PieceNumber piece) const {
  for (const auto attempt : {Attempt::first, Attempt::second}) {
    remove_file(incoming_path(piece, attempt));
  }
}

bool Spool::make_way(PieceNumber piece, std::uint64_t bytes, Attempt attempt) const {
  const auto path = incoming_path(piece, attempt);
  const auto status = status_of(path);
  if (!status) return false;
  if (!S_ISREG(status->st_mode) || static_cast<std::uint64_t>(status->st_size) == bytes) {
    remove_tree(path);
    return false;
  }
  set_mode(path, kServedFileMode);
  return status->st_size > 0;
}

void Spool::expect(PieceNumber piece, std::uint64_t bytes, Attempt attempt) const {
  // A piece of zero bytes never gets a file here, since rsync would find it complete.
  if (bytes < kWorthExpecting) return;
  const auto path = incoming_path(piece, attempt);
  expect_writes(open_file(path, O_WRONLY | O_CREAT, kServedFileMode), bytes);
  set_mode(path, kServedFileMode);
}

Verdict Spool::inspect(const std::filesystem::path& path, std::uint64_t bytes, const Digest& digest,
                       const std::stop_token& stop, ByteCount* count) {
  if (!is_file_of_size(path, bytes)) return Verdict::absent;
  return verdict_on(open_file(path, O_RDONLY), bytes, digest, stop, count);
}

Verdict Spool::accept(const std::filesystem::path& from, PieceNumber piece, std::uint64_t bytes,
                      const Digest& digest, const std::stop_token& stop, ByteCount* count) const {
  return accept(from, piece, bytes, [&](const Descriptor& file) {
    return verdict_on(file, bytes, digest, stop, count);
  });
}

Verdict Spool::accept(const std::filesystem::path& from, PieceNumber piece, std::uint64_t bytes,
                      const std::function<Verdict(const Descriptor&)>& proof) const {
  if (!is_file_of_size(from, bytes)) {
    // The next pull of this piece continues a partial file.
    return Verdict::absent;
  }
  const auto file = open_file(from, O_RDONLY);
  const auto verdict = proof(file);
  // rsync would use a file of this size as a basis, or skip it as complete.
  if (verdict == Verdict::bad) remove_file(from);
  if (verdict == Verdict::good) {
    if (from != piece_path(piece)) rename_path(from, piece_path(piece));
    clear_incoming(piece);
    // rsync no longer finds the file under its new name. If rsync has begun to change its mode, it
    // sets the same mode.
    make_servable(file);
  }
  return verdict;
}

Verdict Spool::reverify(PieceNumber piece, std::uint64_t bytes, const Digest& digest,
                        const std::stop_token& stop, ByteCount* count) const {
  const auto verdict = inspect(piece_path(piece), bytes, digest, stop, count);
  if (verdict == Verdict::good) make_servable(piece_path(piece));
  return verdict;
}

std::optional<Manifest> Spool::accept_manifest(const std::filesystem::path& from,
                                               const Digest& digest) const {
  const auto status = status_of(from);
  if (!status || !S_ISREG(status->st_mode)) return std::nullopt;
  auto manifest = read_manifest(from, digest);
  if (!manifest) {
    remove_file(from);
  } else {
    if (from != manifest_path()) rename_path(from, manifest_path());
    make_servable(manifest_path());
  }
  return manifest;
}

std::optional<Manifest> Spool::read_manifest(const std::filesystem::path& path,
                                             const Digest& digest) {
  // A peer may have sent any bytes of that length, so they are hashed before they fill memory.
  const auto status = status_of(path);
  if (!status ||
      inspect(path, static_cast<std::uint64_t>(status->st_size), digest, {}) != Verdict::good) {
    return std::nullopt;
  }
  const auto bytes = read_file(path, Manifest::max_bytes);
  if (!bytes || digest_of(*bytes) != digest) return std::nullopt;
  auto decoded = Manifest::decode(*bytes);
  if (const auto* const malformed = std::get_if<Malformed>(&decoded)) {
    throw Failure(ExitStatus::local, Remedy::operator_acts,
                  fmt::format("the announced manifest cannot be used: {}: run the same version of "
                              "sync-fanout on the master and here",
                              malformed->reason));
  }
  return std::get<Manifest>(std::move(decoded));
}

void Spool::write_served(const std::filesystem::path& path, std::string_view content) const {
  replace_file(path, content, kServedFileMode);
  give_to_group(path, group_);
}

void Spool::make_servable(const std::filesystem::path& path) const {
  make_servable(open_file(path, O_RDONLY | O_NONBLOCK));
}

void Spool::make_servable(const Descriptor& file) const {
  const auto status = status_of(file);
  if ((status.st_mode & 07777U) != kServedFileMode && fchmod(file.number(), kServedFileMode) != 0) {
    throw_disk_failure("set the mode of", file);
  }
  const bool is_given = status.st_uid == geteuid() && status.st_gid == group_;
  if (!is_given && fchown(file.number(), geteuid(), group_) != 0 && errno != EPERM) {
    throw_disk_failure("set the group of", file);
  }
}

}  // namespace libsync
