#include "programs/config_mistake.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "libsync/core/escaped_text.h"
#include "libsync/core/lines.h"
#include "libsync/core/redis_server.h"
#include "programs/unknown_argument.h"

namespace libsync {
namespace {

// Longest corrected line that a message shows. The message stays readable as one line.
constexpr std::size_t kLongestAdvice = 200;

std::string_view without_comment(std::string_view line) {
  return trimmed(line.substr(0, line.find('#')));
}

std::vector<std::string_view> trimmed_lines_of(std::string_view text) {
  auto all = lines_of(text);
  for (auto& line : all) line = trimmed(line);
  return all;
}

// A line `KEY = VALUE`.
struct Assignment {
  std::string_view key;
  std::string_view value;  // May end with a comment.
};

// Nothing unless the line begins with a bare or quoted key and `=`.
std::optional<Assignment> assignment_in(std::string_view line) {
  const auto equals = line.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  auto key = trimmed(line.substr(0, equals));
  if (key.size() > 2 && key.front() == key.back() && (key.front() == '"' || key.front() == '\'')) {
    key = key.substr(1, key.size() - 2);
  }
  const bool is_bare = !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_';
  });
  if (!is_bare) return std::nullopt;
  return Assignment{key, trimmed(line.substr(equals + 1))};
}

std::string in_quotes(std::string_view value) {
  std::string text = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') text.push_back('\\');
    text.push_back(c);
  }
  return text + '"';
}

// Whether a message can show the text unchanged. Backslashes stay single, unlike in escaped().
bool can_be_copied(std::string_view text) {
  if (text.size() > kLongestAdvice) return false;
  std::string line(text);
  line.erase(std::remove(line.begin(), line.end(), '\\'), line.end());
  return escaped(line) == line;
}

class Finder {
 public:
  Finder(std::string_view text, std::size_t number, const std::vector<ConfigKey>& keys,
         const IsToml& is_toml)
      : lines_(trimmed_lines_of(text)), number_(number), keys_(keys), is_toml_(is_toml) {}

  [[nodiscard]] ConfigMistake mistake(std::string_view description) const;

 private:
  template <typename... Values>
  [[nodiscard]] ConfigMistake here(fmt::format_string<Values...> message,
                                   Values&&... values) const {
    return {number_, fmt::format(message, std::forward<Values>(values)...)};
  }

  [[nodiscard]] std::optional<ConfigMistake> in_assignment(const Assignment& found) const;
  [[nodiscard]] std::optional<ConfigMistake> in_string(const ConfigKey& key,
                                                       std::string_view value) const;
  [[nodiscard]] std::optional<ConfigMistake> repetition(std::string_view key) const;
  [[nodiscard]] std::optional<ConfigMistake> in_word(std::string_view line) const;
  // The mistake in an array or a string that began in an earlier line.
  [[nodiscard]] std::optional<ConfigMistake> further_up(std::string_view line) const;

  // The elements of `[a, "b"]`, `a, b` or `a b`, each in quotes.
  [[nodiscard]] std::string quoted_elements(std::string_view value) const;
  // `KEY = VALUE` in TOML for a value that was written without quotes.
  [[nodiscard]] std::string corrected(const ConfigKey& key, std::string_view value) const;
  // The advice to write `line`, or a placeholder if it is too long or may show a password.
  [[nodiscard]] std::string advice(const ConfigKey& key, std::string_view value,
                                   const std::string& line) const;

  std::vector<std::string_view> lines_;
  std::size_t number_;
  const std::vector<ConfigKey>& keys_;
  const IsToml& is_toml_;
};

std::string Finder::quoted_elements(std::string_view value) const {
  if (value.starts_with('[')) value.remove_prefix(1);
  if (value.ends_with(']')) value.remove_suffix(1);
  const bool has_commas = value.find(',') != std::string_view::npos;
  std::vector<std::string> all;
  while (!value.empty()) {
    const auto end = std::min(value.find_first_of(has_commas ? "," : " \t\r"), value.size());
    const std::string element(trimmed(value.substr(0, end)));
    value.remove_prefix(std::min(end + 1, value.size()));
    if (!element.empty()) all.push_back(is_toml_("x = " + element) ? element : in_quotes(element));
  }
  return fmt::format("{}", fmt::join(all, ", "));
}

std::string Finder::corrected(const ConfigKey& key, std::string_view value) const {
  constexpr std::array<std::string_view, 4> kYes = {"yes", "on", "True", "TRUE"};
  if (key.kind == KeyKind::flag) {
    const bool is_yes = std::find(kYes.begin(), kYes.end(), value) != kYes.end();
    return fmt::format("{} = {}", key.name, is_yes);
  }
  if (key.kind == KeyKind::list || value.starts_with('[')) {
    const auto elements = quoted_elements(value);
    const bool is_one = elements.find(", ") == std::string::npos;
    return is_one ? fmt::format("{} = {}", key.name, elements)
                  : fmt::format("{} = [{}]", key.name, elements);
  }
  return fmt::format("{} = {}", key.name, in_quotes(value));
}

std::string Finder::advice(const ConfigKey& key, std::string_view value,
                           const std::string& line) const {
  const bool may_be_secret =
      key.name == "redis" && std::holds_alternative<Refusal>(RedisServer::parse(value));
  if (may_be_secret || !can_be_copied(line) || !is_toml_(line)) {
    return fmt::format("write {} = \"VALUE\"", key.name);
  }
  return "write " + line;
}

std::optional<ConfigMistake> Finder::repetition(std::string_view key) const {
  for (std::size_t i = 0; i + 1 < number_; ++i) {
    const auto earlier = assignment_in(lines_[i]);
    if (earlier && earlier->key == key) {
      return here("'{}' has a value in line {} already: delete one of the two", key, i + 1);
    }
  }
  return std::nullopt;
}

std::optional<ConfigMistake> Finder::in_string(const ConfigKey& key, std::string_view value) const {
  const char quote = value.front();
  if (value.find(quote, 1) == std::string_view::npos) {
    return here("the text of '{}' has no end: close it with {} in the same line", key.name, quote);
  }
  const bool is_basic = quote == '"' && !value.starts_with("\"\"\"");
  if (!is_basic || value.find('\\') == std::string_view::npos) return std::nullopt;
  const auto literal = fmt::format("{} = '{}'", key.name, value.substr(1, value.size() - 2));
  if (value.back() != '"' || !is_toml_(literal)) return std::nullopt;
  return here("in double quotes a backslash begins an escape sequence: {}",
              advice(key, value, literal));
}

std::optional<ConfigMistake> Finder::in_assignment(const Assignment& found) const {
  const auto* const key = find_key(keys_, found.key);
  if (key == nullptr) return here("{}", unknown_key(found.key, keys_));
  const auto value = without_comment(found.value);
  if (value.empty()) return here("'{}' has no value: give it one, or delete the line", key->name);
  if (is_toml_(fmt::format("{} = {}", found.key, found.value))) {
    const auto repeated = repetition(found.key);
    return repeated ? repeated : further_up({});
  }
  if (value.front() == '"' || value.front() == '\'') return in_string(*key, found.value);
  if (value.front() == '[' && value.back() != ']') return std::nullopt;
  const auto line = advice(*key, value, corrected(*key, value));
  if (key->kind == KeyKind::flag) {
    return here("'{}' is neither true nor false: {}", key->name, line);
  }
  return here("the text of '{}' needs quotes: {}", key->name, line);
}

std::optional<ConfigMistake> Finder::in_word(std::string_view line) const {
  if (line.starts_with(';')) return here("a comment begins with '#': replace the ';'");
  const auto word = without_comment(line);
  const auto name = word.substr(0, word.find_first_of(": \t"));
  const auto* const key = find_key(keys_, name);
  if (key == nullptr) return further_up(line);
  if (key->kind == KeyKind::flag) return here("'{0}' has no value: write {0} = true", key->name);
  const auto value = trimmed(word.substr(std::min(name.size() + 1, word.size())));
  if (value.empty()) return here("'{}' has no value: give it one, or delete the line", key->name);
  return here("'{}' has no '=': {}", key->name, advice(*key, value, corrected(*key, value)));
}

std::optional<ConfigMistake> Finder::further_up(std::string_view line) const {
  auto i = std::min(number_ - 1, lines_.size());
  std::optional<Assignment> opened;
  while (!opened && i > 0) opened = assignment_in(lines_[--i]);
  const auto* const key = opened ? find_key(keys_, opened->key) : nullptr;
  if (key == nullptr) return std::nullopt;
  const auto is_closed_by = [&](std::string_view mark) {
    const auto after = opened->value.substr(mark.size());
    return after.find(mark) != std::string_view::npos ||
           std::any_of(lines_.begin() + static_cast<std::ptrdiff_t>(i) + 1, lines_.end(),
                       [&](auto later) { return later.find(mark) != std::string_view::npos; });
  };
  for (const std::string_view mark : {"\"\"\"", "'''"}) {
    if (!opened->value.starts_with(mark) || is_closed_by(mark)) continue;
    return ConfigMistake{
        i + 1, fmt::format("the text of '{}' has no end: close it with {}", key->name, mark)};
  }
  if (!opened->value.starts_with('[')) return std::nullopt;
  const auto elements = quoted_elements(without_comment(line));
  if (key->kind == KeyKind::list && is_toml_("x = [" + elements + "]") &&
      !is_toml_(fmt::format("x = [{}\n]", line)) && can_be_copied(elements)) {
    return here("each text of '{}' needs quotes: write {},", key->name, elements);
  }
  if (is_closed_by("]")) return std::nullopt;
  return ConfigMistake{i + 1,
                       fmt::format("the array of '{}' has no end: close it with ]", key->name)};
}

ConfigMistake Finder::mistake(std::string_view description) const {
  const auto line =
      number_ >= 1 && number_ <= lines_.size() ? lines_[number_ - 1] : std::string_view();
  const auto assignment = assignment_in(line);
  const auto found = assignment     ? in_assignment(*assignment)
                     : line.empty() ? further_up(line)
                                    : in_word(line);
  if (found) return *found;
  // The description begins with "Error while parsing ...: ".
  const auto colon = description.find(": ");
  if (colon != std::string_view::npos) description.remove_prefix(colon + 2);
  return here("{} is no TOML ({}): correct it",
              assignment ? fmt::format("the line of '{}'", assignment->key) : "this line",
              can_be_copied(description) ? description : "see its bytes");
}

}  // namespace

ConfigMistake find_mistake(std::string_view text, std::size_t number, std::string_view description,
                           const std::vector<ConfigKey>& keys, const IsToml& is_toml) {
  return Finder(text, number, keys, is_toml).mistake(description);
}

std::string unknown_key(std::string_view key, const std::vector<ConfigKey>& keys) {
  std::vector<std::string> names;
  for (const auto& known : keys) names.push_back(known.name);
  const auto meant = nearest(key, names);
  return fmt::format(
      "neither program knows the key '{}': {}", escaped(key),
      meant ? fmt::format("did you mean '{}'?", *meant) : "correct or delete it (see --help)");
}

const ConfigKey* find_key(const std::vector<ConfigKey>& keys, std::string_view name) {
  const auto found = std::find_if(keys.begin(), keys.end(),
                                  [&](const ConfigKey& key) { return key.name == name; });
  return found == keys.end() ? nullptr : &*found;
}

}  // namespace libsync
