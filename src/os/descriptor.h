#pragma once

// One open file descriptor, and the Failure for what the kernel refuses.

#include <filesystem>
#include <string_view>

namespace libsync {

/// Owns one file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;

  [[nodiscard]] int number() const { return number_; }
  [[nodiscard]] explicit operator bool() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

/// Throws the Failure (local) for `errno`: "cannot ACT 'PATH': CAUSE: WAY OUT". A full disk may
/// pass (try_again); anything else waits for the operator.
[[noreturn]] void throw_disk_failure(std::string_view act, const std::filesystem::path& path);
[[noreturn]] void throw_disk_failure(std::string_view act, const Descriptor& file);

}  // namespace libsync
