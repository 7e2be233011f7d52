#include "os/private_file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>

#include "libsync/core/escaped_text.h"
#include "os/descriptor.h"
#include "os/files.h"

namespace libsync {
namespace {

constexpr std::size_t kPasswordFileBytes = 4096;

}  // namespace

std::variant<std::string, Refusal> read_password_file(const std::filesystem::path& path) {
  const auto shown = escaped(path.string());
  // A symlink may lead to it, as in a folder of Kubernetes secrets or systemd credentials. The mode
  // of the opened file counts. O_NONBLOCK: a FIFO must not block.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file && (errno == ENOENT || errno == ENOTDIR)) {
    return Refusal{fmt::format("the password file '{}' is not there: make it", shown)};
  }
  if (!file) throw_disk_failure("read", path);
  const auto status = status_of(file);
  if (!S_ISREG(status.st_mode) || (status.st_mode & 0077U) != 0) {
    return Refusal{
        fmt::format("the password file '{}' has mode {:04o}: it must be a file for its "
                    "owner only: chmod 600 it",
                    shown, status.st_mode & 07777U)};
  }
  const auto content = read_file(file, kPasswordFileBytes);
  if (!content) {
    return Refusal{
        fmt::format("the password file '{}' is too long: write the password alone into it", shown)};
  }
  auto password = content->substr(0, content->find_first_of("\r\n"));
  if (password.empty()) {
    return Refusal{
        fmt::format("the password file '{}' is empty: write the password into it", shown)};
  }
  return password;
}

}  // namespace libsync
