#include "store/check_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include "libsync/core/served_modes.h"
#include "libsync/core/state_folder_name.h"
#include "os/descriptor.h"
#include "os/files.h"
#include "os/random.h"
#include "os/removal.h"
#include "store/served_files.h"

namespace libsync {
namespace {

constexpr std::string_view kStart = "check-";
constexpr unsigned kPrivateFolderMode = 0700;
// Much longer than a check.
constexpr std::chrono::hours kLeftBehind{1};

void remove_left_behind(const std::filesystem::path& state,
                        std::chrono::system_clock::time_point now) {
  for (const auto& name : names_in(state)) {
    if (!name.starts_with(kStart)) continue;
    const auto status = status_of(state / name);
    if (!status) continue;
    const auto made = std::chrono::system_clock::from_time_t(status->st_mtim.tv_sec);
    if (now - made > kLeftBehind) static_cast<void>(try_remove_tree(state / name));
  }
}

}  // namespace

CheckFolder::CheckFolder(const std::filesystem::path& repo,
                         std::chrono::system_clock::time_point now)
    : path_(real_repo(repo) / kStateFolderName /
            (std::string(kStart) + random_name<Token>().text())),
      group_(status_of(state_folder().parent_path())->st_gid),
      has_made_state_(!status_of(state_folder())) {
  if (has_made_state_) {
    make_folder(state_folder(), kServedFolderMode);
    give_to_group(state_folder(), group_);
  }
  remove_left_behind(state_folder(), now);
  make_folder(path_, kServedFolderMode);
  give_to_group(path_, group_);
}

CheckFolder::~CheckFolder() {
  static_cast<void>(try_remove_tree(path_));
  // A folder with the first file of a tick stays.
  if (has_made_state_) static_cast<void>(rmdir(state_folder().c_str()));
}

void CheckFolder::write(const std::string& name, std::string_view content) const {
  replace_file(path_ / name, content, kServedFileMode);
  give_to_group(path_ / name, group_);
}

void CheckFolder::restrict(const std::string& name, unsigned mode) const {
  if (chmod((path_ / name).c_str(), mode) != 0) throw_disk_failure("set the mode of", path_ / name);
}

std::filesystem::path CheckFolder::make(const std::string& name) const {
  make_folder(path_ / name, kPrivateFolderMode);
  return path_ / name;
}

bool CheckFolder::can_exchange() const {
  const auto one = make("one");
  const auto other = make("other");
  return try_exchange_paths(one, other);
}

}  // namespace libsync
