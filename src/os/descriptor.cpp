#include "os/descriptor.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <string>
#include <utility>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"

namespace libsync {
namespace {

std::string_view way_out(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "free some space there";
    case EACCES:
    case EPERM:
      return "give access to the user that runs this program";
    case EROFS:
      return "mount it writable";
    case ENOENT:
      return "make it, or name another with the options";
    case EIO:
      return "the disk is failing: see the kernel's log";
    case EFBIG:
      return "raise the limit of file sizes (ulimit -f, limits.conf), or use a file system that "
             "holds such a file";
    case EMFILE:
      return "raise the limit of open files (ulimit -n, limits.conf)";
    case ENFILE:
      return "raise the limit of open files of this host (sysctl fs.file-max)";
    case ESTALE:
      return "its server has replaced it: mount the file system again";
    case EXDEV:
      return "let both names be on one file system";
    case ENAMETOOLONG:
      return "shorten the path";
    default:
      return "see the manual page errno(3)";
  }
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) close(number_);
}

Descriptor::Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

void throw_disk_failure(std::string_view act, const std::filesystem::path& path) {
  const int error = errno;
  const auto remedy =
      error == ENOSPC || error == EDQUOT ? Remedy::try_again : Remedy::operator_acts;
  throw Failure(ExitStatus::local, remedy,
                fmt::format("cannot {} '{}': {}: {}", act, escaped(path.string()),
                            std::strerror(error), way_out(error)));
}

std::filesystem::path path_of(const Descriptor& file) {
  const int error = errno;
  std::string name(PATH_MAX, '\0');
  const auto length =
      readlink(fmt::format("/proc/self/fd/{}", file.number()).c_str(), name.data(), name.size());
  name.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  errno = error;
  return name;
}

void throw_disk_failure(std::string_view act, const Descriptor& file) {
  throw_disk_failure(act, path_of(file));
}

}  // namespace libsync
