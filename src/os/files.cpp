#include "os/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/number.h"
#include "os/descriptor.h"
#include "os/random.h"
#include "os/stop_signal.h"

namespace libsync {
namespace {

void write_all(const Descriptor& file, std::string_view content) {
  while (!content.empty()) {
    const auto wrote = write(file.number(), content.data(), content.size());
    if (wrote <= 0) throw_disk_failure("write", file);
    content.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

struct statvfs file_system_of(const std::filesystem::path& path) {
  struct statvfs status {};
  if (statvfs(path.c_str(), &status) != 0) throw_disk_failure("stat", path);
  return status;
}

}  // namespace

Descriptor open_file(const std::filesystem::path& path, int flags, unsigned mode) {
  Descriptor file(open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!file) throw_disk_failure("open", path);
  return file;
}

Descriptor open_beneath(const Descriptor& folder, const std::filesystem::path& path, int flags,
                        unsigned mode) {
  open_how how{};
  how.mode = mode;
  how.flags = static_cast<__u64>(flags | O_CLOEXEC | O_NOFOLLOW);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return Descriptor(
      static_cast<int>(syscall(SYS_openat2, folder.number(), path.c_str(), &how, sizeof how)));
}

struct stat status_of(const Descriptor& file) {
  struct stat status {};
  if (fstat(file.number(), &status) != 0) throw_disk_failure("stat", file);
  return status;
}

std::optional<struct stat> status_of(const std::filesystem::path& path) {
  struct stat status {};
  if (lstat(path.c_str(), &status) == 0) return status;
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw_disk_failure("stat", path);
}

FileTime mtime_of(const struct stat& status) {
  return {status.st_mtim.tv_sec, static_cast<std::uint32_t>(status.st_mtim.tv_nsec)};
}

std::optional<std::string> read_file(const std::filesystem::path& path, std::size_t limit) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    throw_disk_failure("read", path);
  }
  return read_file(file, limit);
}

std::optional<std::string> read_file(const Descriptor& file, std::size_t limit) {
  const auto status = status_of(file);
  if (!S_ISREG(status.st_mode) || static_cast<std::size_t>(status.st_size) > limit) {
    return std::nullopt;
  }
  std::string content(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t filled = 0;
  while (filled < content.size()) {
    const auto got = pread(file.number(), content.data() + filled, content.size() - filled,
                           static_cast<off_t>(filled));
    if (got < 0) throw_disk_failure("read", file);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  content.resize(filled);
  return content;
}

void replace_file(const std::filesystem::path& path, std::string_view content, unsigned mode) {
  auto fresh = path;
  fresh += ".new";
  {
    const auto file = open_file(fresh, O_WRONLY | O_CREAT | O_TRUNC, mode);
    if (fchmod(file.number(), mode) != 0) throw_disk_failure("set the mode of", fresh);
    write_all(file, content);
    if (fsync(file.number()) != 0) throw_disk_failure("write", fresh);
  }
  rename_path(fresh, path);
  sync_path(path.parent_path());
}

void write_named_file(const std::filesystem::path& path, std::string_view content) {
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    throw Failure(ExitStatus::local, Remedy::operator_acts,
                  fmt::format("cannot write '{}': it is no regular file: name another one",
                              escaped(path.string())));
  }
  std::error_code unknown;
  const auto absolute = std::filesystem::absolute(path, unknown);
  auto target = std::filesystem::weakly_canonical(absolute, unknown);
  if (unknown) target = absolute;
  // A name that no other user can prepare, and as short as any.
  const auto fresh = target.parent_path() / fmt::format(".{}.new", random_name<Token>().text());
  const Descriptor file(
      open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!file) throw_disk_failure("write", path);
  try {
    write_all(file, content);
    sync_file(file);
    rename_path(fresh, target);
  } catch (const Failure&) {
    std::filesystem::remove(fresh, unknown);
    throw;
  }
  sync_path(target.parent_path());
}

void append_to_file(const std::filesystem::path& path, std::string_view text) {
  write_all(open_file(path, O_WRONLY | O_CREAT | O_APPEND, 0600), text);
}

void make_folder(const std::filesystem::path& path, unsigned mode) {
  if (mkdir(path.c_str(), mode) == 0) {
    // The umask has changed the mode that mkdir got.
    if (chmod(path.c_str(), mode) != 0) throw_disk_failure("set the mode of", path);
    return;
  }
  const int error = errno;
  const auto status = status_of(path);
  if (status && S_ISDIR(status->st_mode)) return;
  errno = status ? ENOTDIR : error;
  throw_disk_failure("make the folder", path);
}

void remove_file(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove(path, error);
  if (!error) return;
  errno = error.value();
  throw_disk_failure("delete", path);
}

void rename_path(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (rename(from.c_str(), to.c_str()) != 0) throw_disk_failure("rename to", to);
}

bool try_exchange_paths(const std::filesystem::path& one, const std::filesystem::path& other) {
  return renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0;
}

void exchange_paths(const std::filesystem::path& one, const std::filesystem::path& other) {
  if (!try_exchange_paths(one, other)) throw_disk_failure("swap", other);
}

void sync_file(const Descriptor& file) {
  if (fsync(file.number()) != 0) throw_disk_failure("sync", file);
}

void sync_path(const std::filesystem::path& path) {
  const auto file = open_file(path, O_RDONLY);
  sync_file(file);
}

void sync_file_system(const std::filesystem::path& path) {
  const auto file = open_file(path, O_RDONLY);
  if (syncfs(file.number()) != 0) throw_disk_failure("sync", path);
}

bool can_share_blocks(const std::filesystem::path& folder) {
  const Descriptor one(open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  const Descriptor other(open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  return one && other && write(one.number(), "x", 1) == 1 &&
         ioctl(other.number(), FICLONE, one.number()) == 0;
}

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator next(folder, error), end; !error && next != end;
       next.increment(error)) {
    names.push_back(next->path().filename());
  }
  if (!error || error == std::errc::no_such_file_or_directory) return names;
  errno = error.value();
  throw_disk_failure("list", folder);
}

std::uint64_t bytes_below(const std::filesystem::path& folder, const std::stop_token& stop) {
  constexpr std::uint64_t kBlockBytes = 512;
  std::uint64_t bytes = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator next(folder, error), end;
       !error && next != end; next.increment(error)) {
    if (stop.stop_requested()) throw Stopped();
    struct stat status {};
    if (lstat(next->path().c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      bytes += static_cast<std::uint64_t>(status.st_blocks) * kBlockBytes;
    }
  }
  return bytes;
}

std::vector<std::filesystem::path> mount_points_of(std::string_view mountinfo) {
  // The fifth field has blanks, tabs, newlines and backslashes in octal: \040.
  std::vector<std::filesystem::path> all;
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string field;
    for (int i = 0; i < 5; ++i) fields >> field;
    std::string path;
    for (std::size_t i = 0; i < field.size(); ++i) {
      const auto code = field[i] == '\\' ? parse_number<unsigned>(field.substr(i + 1, 3), 8)
                                         : std::optional<unsigned>();
      path += code ? static_cast<char>(*code) : field[i];
      if (code) i += 3;
    }
    all.emplace_back(std::move(path));
  }
  return all;
}

std::vector<std::filesystem::path> mount_points() {
  std::ifstream file("/proc/self/mountinfo");
  return mount_points_of(std::string(std::istreambuf_iterator<char>(file), {}));
}

bool can_write(const std::filesystem::path& folder, std::uint64_t bytes) {
  const Descriptor file(open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) return errno == EOPNOTSUPP && free_bytes(folder) >= bytes;
  if (bytes > 0 && fallocate(file.number(), 0, 0, static_cast<off_t>(bytes)) != 0) {
    // Some file systems allocate nothing in advance.
    return errno == EOPNOTSUPP && free_bytes(folder) >= bytes;
  }
  return write(file.number(), "x", 1) == 1;
}

std::uint64_t free_bytes(const std::filesystem::path& path) {
  const auto status = file_system_of(path);
  return std::uint64_t{status.f_bavail} * status.f_frsize;
}

}  // namespace libsync
