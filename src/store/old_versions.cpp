#include "store/old_versions.h"

#include <sys/stat.h>

#include <limits>
#include <optional>
#include <utility>

#include "libsync/core/state_folder_name.h"
#include "os/files.h"
#include "store/receipts.h"
#include "store/replaced.h"

namespace libsync {
namespace {

// A repo with more names is not searched: each costs two system calls. A guard, not tuned.
constexpr std::size_t kMostNames = 10'000;

std::optional<EntryKind> kind_of(const struct stat& status) {
  if (S_ISREG(status.st_mode)) return EntryKind::file;
  if (S_ISDIR(status.st_mode)) return EntryKind::folder;
  return std::nullopt;
}

// In nanoseconds: two releases may be published in one second.
std::int64_t changed(const struct stat& status) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  return kSecond * status.st_ctim.tv_sec + status.st_ctim.tv_nsec;
}

void add(std::vector<OldVersion>& all, std::string name, const std::filesystem::path& folder,
         std::string file) {
  const auto status = status_of(folder / file);
  const auto kind = status ? kind_of(*status) : std::nullopt;
  if (!kind) return;
  all.push_back({{std::move(name), *kind, changed(*status)}, folder, std::move(file)});
}

}  // namespace

std::vector<OldVersion> old_versions(const std::filesystem::path& repo, const std::string& name,
                                     BasisRule rule) {
  std::vector<OldVersion> all;
  if (rule == BasisRule::none) return all;
  add(all, name, repo, name);
  // It comes before the version that it replaced.
  if (!all.empty()) all.front().known.published = std::numeric_limits<std::int64_t>::max();
  const auto state = repo / kStateFolderName;
  const Receipts receipts(state);
  const auto names = rule == BasisRule::automatic ? names_in(repo) : std::vector<std::string>();
  if (names.size() <= kMostNames) {
    for (const auto& other : names) {
      if (other != name && receipts.names(repo / other)) add(all, other, repo, other);
    }
  }
  for (const auto& version : ReplacedVersions(state).all()) {
    if (!version.record) continue;
    const auto replaced = version.record->task.name();
    if (rule == BasisRule::automatic || replaced == name) {
      add(all, replaced, version.folder, "payload");
    }
  }
  return all;
}

}  // namespace libsync
