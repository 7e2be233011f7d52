#include "store/spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>

#include "os/files.h"
#include "os/file_ranges.h"
#include "libsync/core/failure.h"
#include "os/log.h"
#include "libsync/core/number.h"

namespace libsync {
namespace {

constexpr unsigned kFileMode = 0640;
constexpr unsigned kFolderMode = 0750;
// The writable module of the Python pair runs as a user of the repo folder's group.
constexpr unsigned kPushMode = 0770;
// An owner file holds a path and the expected hosts: 100,000 of them fit.
constexpr std::size_t kOwnerBytes = std::size_t{8} << 20U;
constexpr std::size_t kReceiptBytes = 4096;
// A role deletes what it gave up, and nobody else's.
std::string gone_prefix(Role role) {
  return role == Role::master ? "gone-master-" : "gone-minion-";
}

std::string_view name_of(Standing standing) {
  switch (standing) {
    case Standing::prepared:
      return "prepared";
    case Standing::running:
      return "running";
    case Standing::ended:
      return "ended";
    case Standing::ended_short:
      break;
  }
  return "ended-short";
}

std::optional<Standing> standing_of(std::string_view text) {
  for (const auto standing :
       {Standing::prepared, Standing::running, Standing::ended, Standing::ended_short}) {
    if (text == name_of(standing)) return standing;
  }
  return std::nullopt;
}

std::string encode(const Owner& owner) {
  std::string text = fmt::format(
      "prefix {}\nrun {}\ntask {}\npiece-bytes {}\nbegun {}\nstanding {}\nexpected {}\n",
      owner.prefix, owner.run.text(), owner.task, owner.piece_bytes, owner.begun_ms,
      name_of(owner.standing), owner.expected_count);
  for (const auto& host : owner.expected_hosts) text += fmt::format("host {}\n", host);
  // Last: what was cut short has none.
  return text + fmt::format("content {}\n", owner.content.text());
}

// False if the line is not one that encode() writes.
bool read_line(Owner& owner, const std::string& line) {
  const auto space = line.find(' ');
  if (space == std::string::npos) return false;
  const auto key = line.substr(0, space);
  const auto value = line.substr(space + 1);
  if (key == "prefix") {
    owner.prefix = value;
  } else if (key == "task") {
    owner.task = value;
  } else if (key == "host") {
    owner.expected_hosts.push_back(value);
  } else if (key == "piece-bytes") {
    return read_number(value, owner.piece_bytes);
  } else if (key == "begun") {
    return read_number(value, owner.begun_ms);
  } else if (key == "expected") {
    return read_number(value, owner.expected_count);
  } else if (key == "run") {
    const auto run = RunId::parse(value);
    if (run) owner.run = *run;
    return run.has_value();
  } else if (key == "content") {
    const auto content = Fingerprint::parse(value);
    if (content) owner.content = *content;
    return content.has_value();
  } else if (key == "standing") {
    const auto standing = standing_of(value);
    if (standing) owner.standing = *standing;
    return standing.has_value();
  } else {
    return false;
  }
  return true;
}

std::optional<Owner> decode(Role role, const std::string& text) {
  Owner owner;
  owner.role = role;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!read_line(owner, line)) return std::nullopt;
  }
  // Both are always written; without one the file was cut short.
  if (owner.run.text().empty() || owner.content.text().empty()) return std::nullopt;
  return owner;
}

// The module's user reads by its group; where we may not give it away the probe will tell.
void give_to_group(const std::filesystem::path& path, unsigned group) {
  if (lchown(path.c_str(), static_cast<uid_t>(-1), group) != 0 && errno != EPERM) {
    throw_disk_failure("set the group of", path);
  }
}

std::string receipt_of(const std::filesystem::path& destination, const Digest& manifest) {
  const auto status = status_of(destination);
  return fmt::format("manifest {}\ndevice {}\ninode {}\n", manifest.hex(),
                     status ? status->st_dev : 0, status ? status->st_ino : 0);
}

// Held while a spool is taken or given up: on the master's own host two programs share one.
Descriptor lock_spools(const std::filesystem::path& state_folder) {
  auto file = open_file(state_folder / "spools.lock", O_RDWR | O_CREAT, 0600);
  while (flock(file.number(), LOCK_EX) != 0) {
    if (errno != EINTR) throw_disk_failure("lock", state_folder / "spools.lock");
  }
  return file;
}

bool is_file_of_size(const std::filesystem::path& path, std::uint64_t bytes) {
  const auto status = status_of(path);
  return status && S_ISREG(status->st_mode) && static_cast<std::uint64_t>(status->st_size) == bytes;
}

}  // namespace

Spool::Spool(const std::filesystem::path& state_folder, const Fingerprint& fingerprint,
             unsigned group)
    : fingerprint_(fingerprint),
      folder_(state_folder / fingerprint.text()),
      pushed_(state_folder / "push" / fingerprint.text()),
      group_(group) {}

std::string Spool::piece_name(PieceNumber piece) { return fmt::format("p{:05}", piece); }

std::filesystem::path Spool::piece_path(PieceNumber piece) const {
  return folder_ / piece_name(piece);
}

std::filesystem::path Spool::incoming_path(PieceNumber piece) const {
  return incoming_folder() / piece_name(piece);
}

std::filesystem::path Spool::owner_path(Role role) const {
  return folder_ / (role == Role::master ? "owner-master" : "owner-minion");
}

void Spool::take(const Owner& owner) const {
  const auto lock = lock_spools(folder_.parent_path());
  for (const auto& path : {folder_, incoming_folder()}) {
    make_folder(path, kFolderMode);
    give_to_group(path, group_);
  }
  replace_file(owner_path(owner.role), encode(owner), kFileMode);
}

std::optional<Owner> Spool::owner(Role role) const {
  const auto text = read_file(owner_path(role), kOwnerBytes);
  return text ? decode(role, *text) : std::nullopt;
}

void Spool::leave(Role role) const {
  const Role other = role == Role::master ? Role::minion : Role::master;
  const auto gone = folder_.parent_path() / (gone_prefix(role) + Token::random().text());
  {
    const auto lock = lock_spools(folder_.parent_path());
    if (status_of(owner_path(other))) {
      std::filesystem::remove(owner_path(role));
      return;
    }
    if (!status_of(folder_)) return;
    rename_path(folder_, gone);
  }
  // What cannot be deleted is tried again, and told, by the next tick's sweep.
  static_cast<void>(try_remove_tree(gone));
  static_cast<void>(try_remove_tree(pushed_));
}

void Spool::clear_tree() const {
  if (!try_remove_tree(tree_folder())) return;
  rename_path(tree_folder(),
              folder_.parent_path() / (gone_prefix(Role::minion) + Token::random().text()));
}

PieceSet Spool::pieces_found(const Cut& cut) const {
  PieceSet found(cut.pieces());
  for (PieceNumber piece = 0; piece < cut.pieces(); ++piece) {
    if (is_file_of_size(piece_path(piece), cut.bytes_of(piece))) found.insert(piece);
  }
  return found;
}

void Spool::make_way(PieceNumber piece, std::uint64_t bytes, Density density) const {
  const auto path = incoming_path(piece);
  const auto status = status_of(path);
  if (status &&
      (!S_ISREG(status->st_mode) || static_cast<std::uint64_t>(status->st_size) >= bytes)) {
    remove_tree(path);
  }
  // An empty file would be all of an empty piece.
  if (density == Density::dense && bytes >= kWorthExpecting) {
    expect_writes(open_file(path, O_WRONLY | O_CREAT, 0600), 0, bytes);
  }
}

Verdict Spool::inspect(const std::filesystem::path& path, std::uint64_t bytes, const Digest& digest,
                       const std::stop_token& stop) {
  if (!is_file_of_size(path, bytes)) return Verdict::absent;
  Hasher hasher;
  if (!hash_range(hasher, open_file(path, O_RDONLY), 0, bytes, stop)) return Verdict::absent;
  return hasher.finish() == digest ? Verdict::good : Verdict::bad;
}

Verdict Spool::accept(const std::filesystem::path& from, PieceNumber piece, std::uint64_t bytes,
                      const Digest& digest, const std::stop_token& stop) const {
  if (!is_file_of_size(from, bytes)) {
    // Cut short: the next pull of this piece goes on from what is there.
    return Verdict::absent;
  }
  const auto own = take_over(from);
  const auto verdict = inspect(own, bytes, digest, stop);
  // rsync would take a file of this size for a basis, or for done: it has to go.
  if (verdict == Verdict::bad) std::filesystem::remove(own);
  if (verdict == Verdict::good && own != piece_path(piece)) rename_path(own, piece_path(piece));
  return verdict;
}

std::optional<Manifest> Spool::accept_manifest(const std::filesystem::path& from,
                                               const Digest& digest) const {
  const auto status = status_of(from);
  if (!status || !S_ISREG(status->st_mode)) return std::nullopt;
  const auto own = take_over(from);
  auto manifest = read_manifest(own, digest);
  if (!manifest) {
    std::filesystem::remove(own);
  } else if (own != manifest_path()) {
    rename_path(own, manifest_path());
  }
  return manifest;
}

std::optional<Manifest> Spool::read_manifest(const std::filesystem::path& path,
                                             const Digest& digest) {
  // A peer may have sent anything of that length: it is not read into memory to be found wrong.
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
  replace_file(path, content, kFileMode);
  give_to_group(path, group_);
}

// Into a folder where nobody but us can put another file in its place, and ours to write: what
// others can still change does not stay proven.
std::filesystem::path Spool::take_over(const std::filesystem::path& from) const {
  auto own = from;
  if (from.parent_path() == pushed_) {
    own = incoming_folder() / from.filename();
    rename_path(from, own);
  }
  make_servable(own);
  return own;
}

void Spool::make_servable(const std::filesystem::path& path) const {
  const auto file = open_file(path, O_RDONLY | O_NONBLOCK);
  if (fchmod(file.number(), kFileMode) != 0) throw_disk_failure("set the mode of", path);
  if (fchown(file.number(), geteuid(), group_) != 0 && errno != EPERM) {
    throw_disk_failure("set the group of", path);
  }
}

StateFolder::StateFolder(const std::filesystem::path& repo) : path_(repo / ".libsync") {
  std::error_code unknown;
  const auto real = std::filesystem::canonical(repo, unknown);
  if (unknown) {
    throw Failure(ExitStatus::local, Remedy::operator_acts,
                  fmt::format("--repo '{}' is not there: make the folder that the rsync module "
                              "exports, or name it",
                              escaped(repo.string())));
  }
  path_ = real / ".libsync";
  group_ = status_of(real)->st_gid;
  make_folder(path_, kFolderMode);
  const auto status = status_of(path_);
  const bool is_ours = status->st_uid == geteuid() || geteuid() == 0;
  if (!is_ours || (status->st_mode & S_IWOTH) != 0) {
    throw Failure(
        ExitStatus::local, Remedy::operator_acts,
        fmt::format("'{}' belongs to user {} with mode {:04o}: it must be this user's and "
                    "not writable for others: remove it, or run as that user",
                    escaped(path_.string()), status->st_uid, status->st_mode & 07777U));
  }
  give_to_group(path_, group_);
  make_folder(path_ / "push", kPushMode);
  give_to_group(path_ / "push", group_);
  make_folder(path_ / "receipt", kFolderMode);
}

Spool StateFolder::spool(const Fingerprint& fingerprint) const {
  return {path_, fingerprint, group_};
}

std::vector<std::pair<Spool, Owner>> StateFolder::spools_of(Role role,
                                                            const std::string& prefix) const {
  std::vector<std::pair<Spool, Owner>> all;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    const auto fingerprint = Fingerprint::parse(entry.path().filename().string());
    if (!fingerprint) continue;
    auto found = spool(*fingerprint);
    auto owner = found.owner(role);
    if (owner && owner->prefix == prefix) all.emplace_back(std::move(found), std::move(*owner));
  }
  return all;
}

MasterId StateFolder::master_id() const {
  const auto path = path_ / "master";
  if (const auto text = read_file(path, kReceiptBytes)) {
    if (const auto id = MasterId::parse(*text)) return *id;
  }
  auto id = MasterId::random();
  replace_file(path, id.text(), kFileMode);
  return id;
}

std::vector<std::string> StateFolder::sweep(Role role) const {
  std::vector<std::string> told;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    if (!entry.path().filename().string().starts_with(gone_prefix(role))) continue;
    if (auto why = try_remove_tree(entry.path())) told.push_back(*std::move(why));
  }
  return told;
}

std::filesystem::path StateFolder::lock_path(Role role) const {
  return path_ / (role == Role::master ? "master.lock" : "minion.lock");
}

std::filesystem::path StateFolder::receipt_path(const std::string& payload_name) const {
  // Hashed, because a name of 255 bytes leaves no room for the suffix of a file being replaced.
  return path_ / "receipt" / digest_of(payload_name).hex().substr(0, 32);
}

void StateFolder::write_receipt(const std::filesystem::path& destination,
                                const Digest& manifest) const {
  replace_file(receipt_path(destination.filename()), receipt_of(destination, manifest), kFileMode);
}

bool StateFolder::has_receipt(const std::filesystem::path& destination,
                              const Digest& manifest) const {
  const auto written = read_file(receipt_path(destination.filename()), kReceiptBytes);
  return written && *written == receipt_of(destination, manifest);
}

void StateFolder::owe_hook(const std::string& payload_name, const Digest& manifest) const {
  replace_file(path_ / "hook", manifest.hex() + payload_name, kFileMode);
}

std::optional<std::string> StateFolder::hook_owed() const {
  constexpr auto kHexBytes = 2 * Digest::kBytes;
  const auto owed = read_file(path_ / "hook", kReceiptBytes);
  const auto manifest = owed ? Digest::parse(owed->substr(0, kHexBytes)) : std::nullopt;
  if (!manifest) return std::nullopt;
  const auto name = owed->substr(kHexBytes);
  if (!is_payload_name(name) || !has_receipt(path_.parent_path() / name, *manifest)) {
    return std::nullopt;
  }
  return name;
}

void StateFolder::hook_has_run() const { std::filesystem::remove(path_ / "hook"); }

std::string StateFolder::write_probe(std::string_view content) const {
  const auto path = path_ / "probe";
  replace_file(path, content, kFileMode);
  give_to_group(path, group_);
  return "probe";
}

std::variant<TickLock, TickLock::Held> TickLock::take(const std::filesystem::path& path,
                                                      Duration patience, Clock& clock) {
  // How often a waiting tick looks whether the earlier one has gone.
  constexpr Duration kLook{50};
  auto file = open_file(path, O_RDWR | O_CREAT, 0600);
  const Instant until = clock.now() + patience;
  while (flock(file.number(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) throw_disk_failure("lock", path);
    if (clock.now() >= until) {
      Held held{escaped(read_file(path, 100).value_or("")), std::nullopt};
      if (const auto status = status_of(path)) {
        const auto taken = std::chrono::system_clock::from_time_t(status->st_mtim.tv_sec);
        held.age = clock.wall() - taken;
      }
      return held;
    }
    clock.wait(clock.now() + kLook, {});
  }
  const auto text = fmt::format("process {}", getpid());
  if (ftruncate(file.number(), 0) != 0 ||
      pwrite(file.number(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    throw_disk_failure("write", path);
  }
  return TickLock(std::make_shared<const Descriptor>(std::move(file)));
}

int TickLock::descriptor() const { return file_->number(); }

std::string encode_stamps(const std::vector<Stamp>& stamps) {
  std::string text;
  for (const Stamp& stamp : stamps) {
    text += fmt::format("{} {} {} {}.{:09} {}.{:09}\n", stamp.device, stamp.inode, stamp.size,
                        stamp.mtime.seconds, stamp.mtime.nanoseconds, stamp.ctime.seconds,
                        stamp.ctime.nanoseconds);
  }
  return text;
}

}  // namespace libsync
