#pragma once

// The configuration file's values, handed to CLI11 as if they were typed.

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "programs/config_file.h"

namespace libsync {

/// The file, and the options that have their value from it.
struct ConfigOrigin {
  std::string path;                       ///< Empty: no file is read.
  std::map<std::string, unsigned> lines;  ///< By key.

  /// The message that a value of `option` is wrong. It begins with `FILE:LINE: KEY` if the value is
  /// from the file, with `option` otherwise, and ends with `rest`.
  [[nodiscard]] std::string message(const std::string& option, const std::string& rest) const;
};

/// Sets the options of `app` that the command line leaves out from the file, and notes their lines.
/// `other_keys` are the keys of the other program: checked for their type, then ignored. Throws
/// UsageError if a value is wrong, or if the file is missing and `may_be_missing` is false.
void set_from_config(CLI::App& app, const std::vector<ConfigKey>& other_keys, bool may_be_missing,
                     ConfigOrigin& origin);

}  // namespace libsync
