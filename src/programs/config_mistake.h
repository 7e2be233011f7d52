#pragma once

// Explains why a line of the configuration file is no TOML, in the operator's words.
//
// A TOML parser reports what it expected at the column where it stopped. Most broken lines are one
// of a few mistakes, above all values without quotes, which former versions accepted.
// The functions here work on text alone; the caller lends them its parser as a predicate.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "programs/config_file.h"

namespace libsync {

/// A mistake in the file's text, and the way to correct it.
struct ConfigMistake {
  std::size_t line;     ///< From 1. It may lie above the line where the parser stopped.
  std::string message;  ///< The key, the rule, and what to write instead.
};

/// Whether a text parses as TOML.
using IsToml = std::function<bool(const std::string& text)>;

/// The mistake that stopped the parser in line `number` of `text`. For an uncommon mistake the
/// message quotes `description`, which is the parser's own.
[[nodiscard]] ConfigMistake find_mistake(std::string_view text, std::size_t number,
                                         std::string_view description,
                                         const std::vector<ConfigKey>& keys, const IsToml& is_toml);

/// The message about a key that is not in the list.
[[nodiscard]] std::string unknown_key(std::string_view key, const std::vector<ConfigKey>& keys);

/// The entry of `keys` with this name; null if there is none.
[[nodiscard]] const ConfigKey* find_key(const std::vector<ConfigKey>& keys, std::string_view name);

}  // namespace libsync
