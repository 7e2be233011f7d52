#include "failing_disk.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdarg>
#include <cstdio>

namespace libsync::test {
namespace {

std::atomic<long> calls_left{0};
std::atomic<int> error_of_failure{EIO};
std::atomic<bool> has_one_failed{false};
std::atomic<bool> is_forever{false};
std::atomic<int> without_sync{0};
std::atomic<ino_t> unreadable_inode{0};
std::atomic<bool> has_reading_failed{false};

// Whether this call fails; then errno is set.
bool fails() {
  const bool is_broken = is_forever && has_one_failed;
  if (!is_broken && (calls_left.load() <= 0 || calls_left.fetch_sub(1) != 1)) return false;
  has_one_failed = true;
  errno = error_of_failure;
  return true;
}

// Pipes and counters of events are no disk.
bool is_regular(int file) {
  struct stat status {};
  return fstat(file, &status) == 0 && S_ISREG(status.st_mode);
}

// Whether this file or folder cannot be read; then errno is set.
bool is_unreadable(int file) {
  struct stat status {};
  if (unreadable_inode == 0 || fstat(file, &status) != 0) return false;
  if (status.st_ino != unreadable_inode) return false;
  has_reading_failed = true;
  errno = EIO;
  return true;
}

// The function of libc.
template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

FailingDisk::FailingDisk(std::size_t nth, int error, Failing failing) {
  error_of_failure = error;
  has_one_failed = false;
  is_forever = failing == Failing::forever;
  calls_left = static_cast<long>(nth);
}

FailingDisk::~FailingDisk() {
  calls_left = 0;
  is_forever = false;
}

bool FailingDisk::has_failed() const { return has_one_failed; }

Unreadable::Unreadable(const std::filesystem::path& path) {
  struct stat status {};
  has_reading_failed = false;
  if (stat(path.c_str(), &status) == 0) unreadable_inode = status.st_ino;
}

Unreadable::~Unreadable() { unreadable_inode = 0; }

bool Unreadable::has_failed() { return has_reading_failed; }

WithoutSync::WithoutSync() { ++without_sync; }

WithoutSync::~WithoutSync() { --without_sync; }

}  // namespace libsync::test

using libsync::test::fails;
using libsync::test::is_regular;
using libsync::test::is_unreadable;
using libsync::test::next;
using libsync::test::without_sync;

// NOLINTBEGIN: their names and parameters are those of libc.
extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const auto mode = va_arg(arguments, mode_t);
  va_end(arguments);
  static const auto real = next<int (*)(const char*, int, ...)>("open64");
  return fails() ? -1 : real(path, flags, mode);
}

ssize_t write(int file, const void* bytes, size_t count) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
  return is_regular(file) && fails() ? -1 : real(file, bytes, count);
}

int fsync(int file) {
  static const auto real = next<int (*)(int)>("fsync");
  if (fails()) return -1;
  return without_sync > 0 ? 0 : real(file);
}

int ftruncate(int file, off_t bytes) noexcept {
  static const auto real = next<int (*)(int, off_t)>("ftruncate64");
  return fails() ? -1 : real(file, bytes);
}

ssize_t copy_file_range(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t bytes,
                        unsigned flags) {
  static const auto real =
      next<ssize_t (*)(int, off64_t*, int, off64_t*, size_t, unsigned)>("copy_file_range");
  if (fails() || is_unreadable(from)) return -1;
  return real(from, from_offset, to, to_offset, bytes, flags);
}

ssize_t pread(int file, void* bytes, size_t count, off_t offset) {
  static const auto real = next<ssize_t (*)(int, void*, size_t, off_t)>("pread64");
  return is_unreadable(file) ? -1 : real(file, bytes, count, offset);
}

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite64");
  return fails() ? -1 : real(file, bytes, count, offset);
}

// A program with _FILE_OFFSET_BITS=64 calls these names. hiredis' flags set that.
int open64(const char* path, int flags, ...) __attribute__((alias("open")));
int ftruncate64(int file, off64_t bytes) noexcept __attribute__((alias("ftruncate")));
ssize_t pread64(int file, void* bytes, size_t count, off64_t offset)
    __attribute__((alias("pread")));
ssize_t pwrite64(int file, const void* bytes, size_t count, off64_t offset)
    __attribute__((alias("pwrite")));

DIR* fdopendir(int folder) {
  static const auto real = next<DIR* (*)(int)>("fdopendir");
  return is_unreadable(folder) ? nullptr : real(folder);
}

int fchmod(int file, mode_t mode) noexcept {
  static const auto real = next<int (*)(int, mode_t)>("fchmod");
  return fails() ? -1 : real(file, mode);
}

int rename(const char* from, const char* to) noexcept {
  static const auto real = next<int (*)(const char*, const char*)>("rename");
  return fails() ? -1 : real(from, to);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to,
              unsigned flags) noexcept {
  static const auto real = next<int (*)(int, const char*, int, const char*, unsigned)>("renameat2");
  return fails() ? -1 : real(from_folder, from, to_folder, to, flags);
}

int symlink(const char* target, const char* path) noexcept {
  static const auto real = next<int (*)(const char*, const char*)>("symlink");
  return fails() ? -1 : real(target, path);
}

int utimensat(int folder, const char* path, const timespec* times, int flags) noexcept {
  static const auto real = next<int (*)(int, const char*, const timespec*, int)>("utimensat");
  return fails() ? -1 : real(folder, path, times, flags);
}

int futimens(int file, const timespec* times) noexcept {
  static const auto real = next<int (*)(int, const timespec*)>("futimens");
  return fails() ? -1 : real(file, times);
}

int mkdir(const char* path, mode_t mode) noexcept {
  static const auto real = next<int (*)(const char*, mode_t)>("mkdir");
  return fails() ? -1 : real(path, mode);
}

int remove(const char* path) noexcept {
  static const auto real = next<int (*)(const char*)>("remove");
  return fails() ? -1 : real(path);
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  static const auto real = next<int (*)(int, const char*, int)>("unlinkat");
  return fails() ? -1 : real(folder, path, flags);
}

}  // extern "C"
// NOLINTEND
