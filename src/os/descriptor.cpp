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

void throw_disk_failure(std::string_view act, const Descriptor& file) {
  const int error = errno;
  std::string name(PATH_MAX, '\0');
  const auto length =
      readlink(fmt::format("/proc/self/fd/{}", file.number()).c_str(), name.data(), name.size());
  name.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  errno = error;
  throw_disk_failure(act, std::filesystem::path(name));
}

}  // namespace libsync
