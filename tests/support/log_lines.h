#pragma once

// Counts lines of a log file.

#include <cstddef>
#include <filesystem>
#include <sstream>
#include <string>

#include "temporary_folder.h"

namespace libsync::test {

/// The number of lines with this text.
[[nodiscard]] inline std::size_t lines_with(const std::filesystem::path& log,
                                            const std::string& text) {
  std::istringstream lines(content_of(log));
  std::size_t found = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(text) != std::string::npos) ++found;
  }
  return found;
}

}  // namespace libsync::test
