#include "minion/destination.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>

#include "libsync/core/escaped_text.h"
#include "os/descriptor.h"
#include "os/files.h"
#include "os/removal.h"

namespace libsync {
namespace {

constexpr unsigned kTrialMode = 0700;

std::string_view name_of(EntryKind kind) { return kind == EntryKind::folder ? "folder" : "file"; }

Refusal on_two_file_systems(const std::filesystem::path& repo, const Spool& spool) {
  return Refusal{fmt::format(
      "'{}' and '{}' are on two file systems, so no payload can be published in one step: let "
      "both be on one; neither may be a mount point of its own",
      escaped(repo.string()), escaped(spool.folder().parent_path().string()))};
}

// The kernel never moves a folder onto one that is not empty. But an overlay refuses first, by
// EXDEV, if the folder comes from a lower layer.
bool can_be_moved(const std::filesystem::path& folder, const std::filesystem::path& full) {
  make_folder(full, kTrialMode);
  make_folder(full / "inner", kTrialMode);
  return rename(folder.c_str(), full.c_str()) == 0 || errno != EXDEV;
}

// Moves and swaps two empty folders between the spool and the repo.
std::optional<Refusal> try_file_system(const std::filesystem::path& repo, const Spool& spool,
                                       const std::filesystem::path& inside,
                                       const std::filesystem::path& beside,
                                       const std::optional<EntryKind>& kind) {
  make_folder(inside, kTrialMode);
  make_folder(beside, kTrialMode);
  if (kind == EntryKind::folder &&
      renameat2(AT_FDCWD, inside.c_str(), AT_FDCWD, beside.c_str(), RENAME_EXCHANGE) != 0) {
    if (errno == EXDEV) return on_two_file_systems(repo, spool);
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) {
      throw_disk_failure("swap", beside);
    }
    return Refusal{
        fmt::format("the file system of '{}' cannot swap two folders in one step "
                    "(RENAME_EXCHANGE), as NFS cannot: let --repo be on ext4, XFS, btrfs or tmpfs",
                    escaped(repo.string()))};
  }
  if (rename(inside.c_str(), beside.c_str()) != 0) {
    if (errno == EXDEV) return on_two_file_systems(repo, spool);
    throw_disk_failure("rename to", beside);
  }
  return std::nullopt;
}

}  // namespace

std::optional<Refusal> refuse_destination(const std::filesystem::path& repo,
                                          const std::string& name,
                                          const std::optional<EntryKind>& kind) {
  const auto path = repo / name;
  const auto there = status_of(path);
  if (!there) return std::nullopt;
  const auto refuse = [&](const std::string& rule) {
    return Refusal{
        fmt::format("the destination '{}' {}: move it away", escaped(path.string()), rule)};
  };
  if (S_ISLNK(there->st_mode)) return refuse("is a symlink");
  // The dot resolves a repo that is a symlink.
  if (there->st_dev != status_of(repo / ".")->st_dev) return refuse("is a mount point");
  if (!S_ISREG(there->st_mode) && !S_ISDIR(there->st_mode)) return refuse("is a special file");
  // A mount inside would move with the folder, and be emptied with it.
  std::error_code error;
  const auto real = std::filesystem::canonical(path, error).string() + "/";
  if (error) {
    errno = error.value();
    throw_disk_failure("resolve", path);
  }
  for (const auto& mounted : mount_points()) {
    if ((mounted.string() + "/").starts_with(real)) {
      return refuse(fmt::format("is, or holds, the mount point '{}'", escaped(mounted.string())));
    }
  }
  const auto found = S_ISDIR(there->st_mode) ? EntryKind::folder : EntryKind::file;
  if (kind && found != *kind) {
    return refuse(fmt::format("is a {}, the payload is a {}", name_of(found), name_of(*kind)));
  }
  return std::nullopt;
}

std::optional<Refusal> refuse_file_system(const std::filesystem::path& repo,
                                          const std::string& name, const Spool& spool,
                                          const std::optional<EntryKind>& kind) {
  const auto inside = spool.tree_folder() / "trial";
  const auto beside = repo / ".libsync-trial";
  // A tick that died may have left both.
  remove_tree(inside);
  remove_tree(beside);
  make_folder(spool.tree_folder(), kTrialMode);
  auto refusal = try_file_system(repo, spool, inside, beside, kind);
  const auto path = repo / name;
  const auto there = status_of(path);
  if (!refusal && there && S_ISDIR(there->st_mode) && !can_be_moved(path, inside)) {
    refusal = Refusal{
        fmt::format("the destination '{}' is in a lower layer of an overlay file system, where "
                    "nothing can move it: copy it, delete it, and give the copy its name",
                    escaped(path.string()))};
  }
  remove_tree(inside);
  remove_tree(beside);
  // It stays if an earlier attempt has left something in it.
  static_cast<void>(rmdir(spool.tree_folder().c_str()));
  return refusal;
}

}  // namespace libsync
