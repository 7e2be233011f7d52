#include "minion/only_here.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <system_error>

#include "libsync/core/escaped_text.h"

namespace libsync {
namespace {

constexpr std::size_t kMostNamed = 5;

bool is_listed(const Manifest& manifest, const std::string& name) {
  const auto& entries = manifest.entries();
  const auto at = std::lower_bound(
      entries.begin(), entries.end(), name,
      [](const Entry& entry, const std::string& wanted) { return entry.name < wanted; });
  return at != entries.end() && at->name == name;
}

}  // namespace

OnlyHere only_here(const std::filesystem::path& folder, const Manifest& manifest,
                   const std::stop_token& stop) {
  OnlyHere found;
  std::set<std::string> first;
  std::error_code error;
  std::filesystem::recursive_directory_iterator at(
      folder, std::filesystem::directory_options::skip_permission_denied, error);
  for (; !error && at != std::filesystem::recursive_directory_iterator(); at.increment(error)) {
    if (stop.stop_requested()) break;
    std::error_code unknown;
    const auto kind = at->symlink_status(unknown).type();
    if (unknown || kind == std::filesystem::file_type::directory) continue;
    auto name = at->path().string().substr(folder.string().size() + 1);
    if (is_listed(manifest, name)) continue;
    ++found.files;
    first.insert(std::move(name));
    if (first.size() > kMostNamed) first.erase(std::prev(first.end()));
  }
  found.first.assign(first.begin(), first.end());
  return found;
}

std::string warning_of(const OnlyHere& found, const std::string& payload_name) {
  if (found.files == 0) return {};
  std::string names;
  for (const auto& name : found.first) {
    names += fmt::format("{}'{}'", names.empty() ? "" : ", ", escaped(name));
  }
  if (found.files > found.first.size()) {
    names += fmt::format(" and {} more", found.files - found.first.size());
  }
  return fmt::format(
      "the folder '{}' had {} files that the new payload does not have, and they go with it: {}",
      escaped(payload_name), found.files, names);
}

}  // namespace libsync
