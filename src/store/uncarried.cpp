#include "store/uncarried.h"

#include <fmt/format.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "os/descriptor.h"

namespace libsync {
namespace {

struct Kinds {
  bool acl = false;
  bool capability = false;
  bool other = false;
};

// The names end with NUL each.
Kinds kinds_in(std::string_view names) {
  Kinds kinds;
  while (!names.empty()) {
    const auto name = names.substr(0, names.find('\0'));
    names.remove_prefix(std::min(name.size() + 1, names.size()));
    if (name.starts_with("system.posix_acl_")) {
      kinds.acl = true;
    } else if (name == "security.capability") {
      kinds.capability = true;
    } else if (name != "security.selinux") {
      kinds.other = true;
    }
  }
  return kinds;
}

}  // namespace

Uncarried uncarried_of(const Location& payload, const Manifest& manifest,
                       const std::stop_token& stop, const OnEntry& on_entry) {
  Uncarried found;
  std::size_t entries = 0;
  std::array<char, 4096> names{};
  // No call lists the attributes of a name below a descriptor.
  const auto top = fmt::format("/proc/self/fd/{}/{}", payload.folder->number(), payload.name);
  for (const Entry& entry : manifest.entries()) {
    if (stop.stop_requested()) break;
    if (on_entry) on_entry(++entries);
    const auto path = entry.name.empty() ? top : top + "/" + entry.name;
    const auto length = llistxattr(path.c_str(), names.data(), names.size());
    if (length < 0 && errno == ENOTSUP) break;
    Kinds kinds;
    if (length > 0) kinds = kinds_in({names.data(), static_cast<std::size_t>(length)});
    if (length < 0 && errno == ERANGE) kinds.other = true;  // More names than fit.
    if (!kinds.acl && !kinds.capability && !kinds.other) continue;
    if (found.acls + found.capabilities + found.others == 0) found.first = entry.name;
    found.acls += kinds.acl ? 1 : 0;
    found.capabilities += kinds.capability ? 1 : 0;
    found.others += kinds.other ? 1 : 0;
  }
  return found;
}

}  // namespace libsync
