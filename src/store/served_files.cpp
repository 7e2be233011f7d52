#include "store/served_files.h"

#include <unistd.h>

#include <cerrno>

#include "os/descriptor.h"

namespace libsync {

void give_to_group(const std::filesystem::path& path, unsigned group) {
  if (lchown(path.c_str(), static_cast<uid_t>(-1), group) != 0 && errno != EPERM) {
    throw_disk_failure("set the group of", path);
  }
}

}  // namespace libsync
