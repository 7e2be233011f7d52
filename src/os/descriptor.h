#pragma once

// One open file descriptor, and the Failure for a system call that the kernel refuses.

#include <filesystem>
#include <string_view>

namespace libsync {

/// Owns one file descriptor, and closes it.
class Descriptor {
 public:
  Descriptor() = default;
  /// A negative number means none, as open(2) returns it.
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;

  [[nodiscard]] int number() const { return number_; }
  [[nodiscard]] explicit operator bool() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

/// The path that the kernel knows for the descriptor; empty if it knows none. Keeps errno.
[[nodiscard]] std::filesystem::path path_of(const Descriptor& file);

/// Throws the Failure (local) for `errno`: "cannot ACT 'PATH': CAUSE: WAY OUT". Time may help a
/// full disk (try_again); any other error needs the operator.
[[noreturn]] void throw_disk_failure(std::string_view act, const std::filesystem::path& path);

/// The same, with the path_of() the descriptor.
[[noreturn]] void throw_disk_failure(std::string_view act, const Descriptor& file);

}  // namespace libsync
