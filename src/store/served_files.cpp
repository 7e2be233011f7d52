#include "store/served_files.h"

#include <unistd.h>

#include <cerrno>

#include "os/descriptor.h"

namespace libsync {
namespace {

constexpr auto kSame = static_cast<uid_t>(-1);  // chown(2) leaves the owner.

}  // namespace

void give_to_group(const std::filesystem::path& path, unsigned group) {
  if (lchown(path.c_str(), kSame, group) != 0 && errno != EPERM) {
    throw_disk_failure("set the group of", path);
  }
}

void give_to_group(const Descriptor& file, unsigned group) {
  if (fchown(file.number(), kSame, group) != 0 && errno != EPERM) {
    throw_disk_failure("set the group of", file);
  }
}

}  // namespace libsync
