#pragma once

// Hands the values of the configuration file to CLI11, as if the operator had typed them.

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "programs/config_file.h"

namespace libsync {

/// The file, and the options whose values come from it.
struct ConfigOrigin {
  std::string path;                       ///< If empty, the program reads no file.
  std::map<std::string, unsigned> lines;  ///< The line of each key.

  /// The message that a value of `option` is wrong. It begins with `FILE:LINE: KEY` if the file has
  /// the value, and with `option` otherwise. It ends with `rest`.
  [[nodiscard]] std::string message(const std::string& option, const std::string& rest) const;
};

/// Sets those options of `app` from the file that the command line leaves out, and notes their
/// lines. It checks the type of `other_keys`, which belong to the other program, and ignores their
/// values. Throws UsageError if a value is wrong, or if the file is missing and `may_be_missing` is
/// false.
void set_from_config(CLI::App& app, const std::vector<ConfigKey>& other_keys, bool may_be_missing,
                     ConfigOrigin& origin);

}  // namespace libsync
