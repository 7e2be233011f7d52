#pragma once

// A folder for one test, which its destructor deletes with its content.

#include <filesystem>
#include <string>

namespace libsync::test {

class TemporaryFolder {
 public:
  /// Makes a folder that others can read. As root, the daemons of the tests run as another user.
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Writes a file, and makes the folders above it.
void write_file(const std::filesystem::path& path, const std::string& content);

/// The content of a file. If it cannot be read, an expectation fails and the result is empty.
[[nodiscard]] std::string content_of(const std::filesystem::path& path);

/// Bytes without a pattern, which depend on the seed alone.
[[nodiscard]] std::string random_bytes(std::size_t count, unsigned seed);

}  // namespace libsync::test
