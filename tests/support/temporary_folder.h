#pragma once

// A folder of a test's own, deleted with all that is in it.

#include <filesystem>
#include <string>

namespace libsync::test {

class TemporaryFolder {
 public:
  /// Readable for others, because as root the daemons of the tests run as another user.
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Writes a file, making the folders above it.
void write_file(const std::filesystem::path& path, const std::string& content);

/// The content of a file; a failed expectation and nothing if it cannot be read.
[[nodiscard]] std::string content_of(const std::filesystem::path& path);

/// Bytes without any pattern, the same for the same seed.
[[nodiscard]] std::string random_bytes(std::size_t count, unsigned seed);

}  // namespace libsync::test
