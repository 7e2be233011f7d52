#include "store/state_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <optional>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/run_record.h"
#include "os/files.h"
#include "os/random.h"
#include "store/served_files.h"

namespace libsync {
namespace {

// Mode of push/. The writable module of the Python pair runs as a user of the repo folder's group.
constexpr unsigned kPushMode = 0770;
constexpr std::size_t kMasterIdBytes = 4096;  // Ample for a MasterId as text.

}  // namespace

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
  make_folder(path_, kServedFolderMode);
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
  make_folder(path_ / "receipt", kServedFolderMode);
}

Spool StateFolder::spool(const Fingerprint& fingerprint) const {
  return {path_, fingerprint, group_};
}

std::vector<std::pair<Spool, RunRecord>> StateFolder::spools_of(Role role,
                                                                const std::string& prefix) const {
  std::vector<std::pair<Spool, RunRecord>> all;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    const auto fingerprint = Fingerprint::parse(entry.path().filename().string());
    if (!fingerprint) continue;
    auto found = spool(*fingerprint);
    auto owner = found.record(role);
    if (owner && owner->prefix == prefix) all.emplace_back(std::move(found), std::move(*owner));
  }
  return all;
}

MasterId StateFolder::master_id() const {
  const auto path = path_ / "master";
  if (const auto text = read_file(path, kMasterIdBytes)) {
    if (const auto id = MasterId::parse(*text)) return *id;
  }
  auto id = random_name<MasterId>();
  replace_file(path, id.text(), kServedFileMode);
  return id;
}

std::vector<std::string> StateFolder::sweep(Role role) const {
  std::vector<std::string> reasons;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    if (!entry.path().filename().string().starts_with(discarded_prefix(role))) continue;
    if (auto why = try_remove_tree(entry.path())) reasons.push_back(*std::move(why));
  }
  return reasons;
}

std::filesystem::path StateFolder::lock_path(Role role) const {
  return path_ / (role == Role::master ? "master.lock" : "minion.lock");
}

std::string StateFolder::write_probe(std::string_view content) const {
  const auto path = path_ / "probe";
  replace_file(path, content, kServedFileMode);
  give_to_group(path, group_);
  return "probe";
}

}  // namespace libsync
