#pragma once

// The configuration file: TOML 1.0, one flat table whose keys are the long options of both
// programs.
//
// config_file.cpp is the only file that sees toml++. It knows nothing of the command line: the
// caller lists the keys, gets the values as text, and hands them to its option parser. Every
// refusal is a UsageError that begins with `FILE:LINE:`, names the key and the rule, and says what
// to write instead. The reader of version 1.0.0 accepted more than TOML (values without quotes);
// such a line is refused together with its corrected form.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace libsync {

/// The types of values that a key accepts.
enum class KeyKind {
  text,  ///< A string or a number, also as an array of one. The option parser checks numbers.
  flag,  ///< `true` or `false`, also as the option parser spells them: "yes", 1.
  list,  ///< A text, or an array of them that is not empty.
};

struct ConfigKey {
  std::string name;  ///< The long option without its dashes.
  KeyKind kind = KeyKind::text;
};

/// One key of the file and its values, as they would be typed on the command line.
struct ConfigEntry {
  std::string key;
  std::vector<std::string> values;  ///< At least one.
  unsigned line = 0;                ///< From 1.
};

/// The content of `path`, through symlinks and from pipes, too. Nothing if there is no such file;
/// UsageError if it cannot be read for any other reason.
[[nodiscard]] std::optional<std::string> read_config(const std::filesystem::path& path);

/// The entries of the file's `text`, in the order of their lines. `file` is its name in messages.
/// Throws UsageError unless the text is TOML, flat, and holds nothing but `keys`.
[[nodiscard]] std::vector<ConfigEntry> parse_config(std::string_view text, const std::string& file,
                                                    const std::vector<ConfigKey>& keys);

}  // namespace libsync
