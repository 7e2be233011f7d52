#pragma once

// Makes the n-th call of the disk fail, or all from the n-th on, or the reading of one file or
// folder.
// Makes fsync(2) do nothing.
//
// failing_disk.cpp defines the calls of libc that open, change or sync files. They call those of
// libc, except the calls that a FailingDisk makes fail. Only programs that name a class of this
// file have them.

#include <cerrno>
#include <cstddef>
#include <filesystem>

namespace libsync::test {

/// How many calls fail.
enum class Failing {
  once,     ///< One call.
  forever,  ///< That call and all after it: the disk is as a death at this call leaves it.
};

class FailingDisk {
 public:
  /// The `nth` call from now on, in any thread, fails with `error`. The next one is number 1.
  explicit FailingDisk(std::size_t nth, int error = EIO, Failing failing = Failing::once);
  ~FailingDisk();
  FailingDisk(const FailingDisk&) = delete;
  FailingDisk& operator=(const FailingDisk&) = delete;

  [[nodiscard]] bool has_failed() const;
};

/// While one lives, nobody can read the bytes of a file, or the names in a folder (EIO). It lies on
/// a bad part of the disk. The file, or the files in the folder, can be opened. One may live at a
/// time.
class Unreadable {
 public:
  explicit Unreadable(const std::filesystem::path& path);
  ~Unreadable();
  Unreadable(const Unreadable&) = delete;
  Unreadable& operator=(const Unreadable&) = delete;

  [[nodiscard]] static bool has_failed();
};

/// While one lives, fsync(2) does nothing. A test that cuts no power need not wait for the disk.
class WithoutSync {
 public:
  WithoutSync();
  ~WithoutSync();
  WithoutSync(const WithoutSync&) = delete;
  WithoutSync& operator=(const WithoutSync&) = delete;
};

}  // namespace libsync::test
