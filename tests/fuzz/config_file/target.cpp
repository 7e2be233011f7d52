// The configuration file: toml++, and the checks of our own that explain a mistake.

#include "target.h"

#include "libsync/core/number.h"
#include "programs/config_file.h"
#include "programs/config_mistake.h"
#include "programs/usage_error.h"

namespace libsync::fuzz {
namespace {

constexpr std::string_view kFile = "sync.toml";

const std::vector<ConfigKey>& keys() {
  static const std::vector<ConfigKey> all = {
      {"redis", KeyKind::text}, {"address", KeyKind::text},     {"repo", KeyKind::text},
      {"peers", KeyKind::list}, {"source-root", KeyKind::list}, {"linger", KeyKind::text},
      {"owner", KeyKind::flag}, {"slots", KeyKind::text},       {"after-publish", KeyKind::text}};
  return all;
}

// The value as a basic string of TOML.
std::string in_quotes(std::string_view value) {
  std::string text = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      text.append("\\u00").append(1, kDigits[byte >> 4U]).append(1, kDigits[byte & 15U]);
      continue;
    }
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + '"';
}

void check_entries(const std::vector<ConfigEntry>& entries, std::size_t lines) {
  std::string written;
  for (const auto& entry : entries) {
    const auto* const key = find_key(keys(), entry.key);
    require(key != nullptr, "a key is one of the list");
    require(!entry.values.empty(), "a key has a value");
    require(key->kind == KeyKind::list || entry.values.size() == 1, "a lone key has one value");
    require(entry.line >= 1 && entry.line <= lines, "a key has a line");
    written += entry.key + " = [";
    for (const auto& value : entry.values) {
      require(value.find('\0') == std::string::npos, "a value has no NUL");
      written += in_quotes(value) + ", ";
    }
    written += "]\n";
  }
  std::vector<ConfigEntry> again;
  try {
    again = parse_config(written, std::string(kFile), keys());
  } catch (const UsageError&) {
    require(false, "values that are written as TOML are accepted");
  }
  require(again.size() == entries.size(), "each key survives its text");
  for (std::size_t i = 0; i < again.size(); ++i) {
    require(again[i].key == entries[i].key && again[i].values == entries[i].values,
            "each value survives its text");
  }
}

void check_refusal(std::string_view message, std::string_view input, std::size_t lines) {
  require(is_plain_line(message), "a refusal is a line");
  require(message.starts_with(std::string(kFile) + ":"), "a refusal names the file");
  const auto rest = message.substr(kFile.size() + 1);
  const auto colon = rest.find(": ");
  const auto line = parse_number<std::size_t>(rest.substr(0, colon));
  require(colon != std::string_view::npos && line.has_value(), "a refusal names the line");
  require(*line >= 1 && *line <= lines + 1, "the line is one of the file");
  require(rest.size() <= 2000 + input.size() * 4, "a refusal has a limit");
}

}  // namespace

void check(std::string_view input) {
  const auto lines = static_cast<std::size_t>(std::count(input.begin(), input.end(), '\n')) + 1;
  std::vector<ConfigEntry> entries;
  try {
    entries = parse_config(input, std::string(kFile), keys());
  } catch (const UsageError& error) {
    return check_refusal(error.what(), input, lines);
  }
  check_entries(entries, lines);
}

}  // namespace libsync::fuzz
