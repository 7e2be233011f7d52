#include "store/state_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <optional>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/run_record.h"
#include "libsync/core/shown_number.h"
#include "libsync/core/state_folder_name.h"
#include "os/files.h"
#include "os/random.h"
#include "store/served_files.h"

namespace libsync {
namespace {

// Mode of push/. The writable module of the Python pair runs as a user of the repo folder's group.
constexpr unsigned kPushMode = 0770;
constexpr std::size_t kIdBytes = 4096;  // Ample for an id as text.

// Whether other users can write to a folder. Root's own group is no danger to root.
bool is_open_to_others(const struct stat& folder) {
  if ((folder.st_mode & S_IWOTH) != 0) return true;
  return (folder.st_mode & S_IWGRP) != 0 && geteuid() == 0 && folder.st_gid != 0;
}

// The id in a file; nothing if there is none.
template <typename Id>
std::optional<Id> read_id(const std::filesystem::path& path) {
  const auto text = read_file(path, kIdBytes);
  return text ? Id::parse(*text) : std::nullopt;
}

// After a crash the file holds its former content or a whole id.
template <typename Id>
Id write_new_id(const std::filesystem::path& path) {
  auto id = random_name<Id>();
  replace_file(path, id.text(), kServedFileMode);
  return id;
}

}  // namespace

std::filesystem::path real_repo(const std::filesystem::path& repo) {
  std::error_code unknown;
  auto real = std::filesystem::canonical(repo, unknown);
  if (!unknown) return real;
  throw Failure(ExitStatus::local, Remedy::operator_acts,
                fmt::format("--repo '{}' is not there: make the folder that the rsync module "
                            "exports, or name it",
                            escaped(repo.string())));
}

StateFolder::StateFolder(const std::filesystem::path& repo) {
  const auto real = real_repo(repo);
  path_ = real / kStateFolderName;
  group_ = status_of(real)->st_gid;
  make_folder(path_, kServedFolderMode);
  const auto status = status_of(path_);
  if (status->st_uid != geteuid() || is_open_to_others(*status)) {
    throw Failure(
        ExitStatus::local, Remedy::operator_acts,
        fmt::format("'{}' belongs to user {} with mode {:04o}: it must be this user's and "
                    "not writable for others: remove it while no tick runs, or run as that user",
                    escaped(path_.string()), status->st_uid, status->st_mode & 07777U));
  }
  give_to_group(path_, group_);
  make_folder(path_ / "push", kPushMode);
  give_to_group(path_ / "push", group_);
  make_folder(path_ / "receipt", kServedFolderMode);
}

Spool StateFolder::spool(const Fingerprint& fingerprint) const {
  return {path_, fingerprint, group_};
}

std::vector<std::pair<Spool, RunRecord>> StateFolder::spools_of(Role role,
                                                                const std::string& prefix) const {
  std::vector<std::pair<Spool, RunRecord>> all;
  for (const auto& name : names_in(path_)) {
    const auto fingerprint = Fingerprint::parse(name);
    if (!fingerprint) continue;
    auto found = spool(*fingerprint);
    auto owner = found.record(role);
    if (owner && owner->prefix == prefix) all.emplace_back(std::move(found), std::move(*owner));
  }
  return all;
}

bool is_old(const FileTime& recorded_at, std::chrono::system_clock::time_point now) {
  const auto old = std::chrono::floor<std::chrono::seconds>(now - kStrayKept).time_since_epoch();
  return recorded_at.seconds < old.count();
}

std::vector<Stray> StateFolder::strays(Role role, const std::string& prefix,
                                       std::chrono::system_clock::time_point now,
                                       const std::stop_token& stop) const {
  std::vector<Stray> all;
  for (const auto& name : names_in(path_)) {
    const auto fingerprint = Fingerprint::parse(name);
    if (!fingerprint) continue;
    auto found = spool(*fingerprint);
    const auto recorded_at = found.recorded_at(role);
    const auto usable = found.record(role);
    if (!recorded_at || (usable && usable->prefix == prefix)) continue;
    auto record = found.legible_record(role);
    const auto reason =
        !record ? std::string("has a run record that cannot be read")
        : record->prefix == prefix
            ? std::string("has a run record of another version")
            : fmt::format("belongs to the keys with the prefix '{}'", escaped(record->prefix));
    if (record && record->prefix != prefix) record.reset();
    auto why = fmt::format("the spool '{}' of {} {}", escaped(found.folder().string()),
                           shown_gigabytes(bytes_below(found.folder(), stop)), reason);
    all.push_back({std::move(found), std::move(why), std::move(record), is_old(*recorded_at, now)});
  }
  return all;
}

std::optional<std::string> StateFolder::weakness_of(const std::filesystem::path& repo) {
  if (geteuid() != 0) return std::nullopt;
  for (auto folder = repo;; folder = folder.parent_path()) {
    const auto status = status_of(folder);
    if (!status) return std::nullopt;
    // The sticky bit keeps other users from the names of root's folders.
    const bool is_sticky = (status->st_mode & S_ISVTX) != 0;
    if (status->st_uid != 0 || (is_open_to_others(*status) && !is_sticky)) {
      return fmt::format(
          "'{}' belongs to user {} with mode {:04o}, so others can replace what this program "
          "publishes as root: chown it to root and chmod go-w it, or run this program as that user",
          escaped(folder.string()), status->st_uid, status->st_mode & 07777U);
    }
    if (folder == folder.root_path()) return std::nullopt;
  }
}

MasterId StateFolder::master_id() const {
  const auto path = path_ / "master";
  if (const auto id = read_id<MasterId>(path)) return *id;
  return write_new_id<MasterId>(path);
}

KeptHostId StateFolder::host_id() const {
  const auto path = host_id_path();
  const auto status = status_of(path);
  if (!status) return {new_host_id(), ""};
  // With a new id the host would be refused until the lease of the former one ends.
  const auto id = S_ISREG(status->st_mode) ? read_id<HostId>(path) : std::nullopt;
  if (id) return {*id, ""};
  return {new_host_id(),
          fmt::format("'{}' holds no id: this host has a new one now", escaped(path.string()))};
}

HostId StateFolder::new_host_id() const { return write_new_id<HostId>(host_id_path()); }

std::filesystem::path StateFolder::host_id_path() const { return path_ / "minion"; }

std::vector<std::string> StateFolder::discarded(Role role) const {
  auto names = names_in(path_);
  std::erase_if(names,
                [&](const std::string& name) { return !name.starts_with(discarded_prefix(role)); });
  return names;
}

std::filesystem::path StateFolder::lock_path(const std::filesystem::path& state_folder, Role role) {
  return state_folder / (role == Role::master ? "master.lock" : "minion.lock");
}

std::string StateFolder::write_probe(std::string_view content) const {
  const auto path = path_ / "probe";
  replace_file(path, content, kServedFileMode);
  give_to_group(path, group_);
  return "probe";
}

}  // namespace libsync
