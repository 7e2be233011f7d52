#include "programs/config_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <sstream>
#include <utility>

#include "libsync/core/escaped_text.h"
#include "os/descriptor.h"
#include "programs/config_mistake.h"
#include "programs/usage_error.h"

namespace libsync {
namespace {

// Longest configuration file. It could hold thousands of roots. The limit keeps a wrong --config (a
// device, a payload) from filling the memory.
constexpr std::size_t kLargestFile = std::size_t{1} << 20U;

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7f;
}

bool is_beyond_ascii(char c) { return static_cast<unsigned char>(c) >= 0x80; }

// The end of the string or comment that begins at the front of `text`; empty if none does. To
// toml++ a quote within a key or a value begins no string.
std::string_view end_mark_of(std::string_view text, char before) {
  if (text.starts_with('#')) return "\n";
  if (std::string_view(" \t\r\n=[,{.").find(before) == std::string_view::npos) return {};
  for (const std::string_view mark : {"\"\"\"", "'''", "\"", "'"}) {
    if (text.starts_with(mark)) return mark;
  }
  return {};
}

// The offset behind a byte order mark.
std::ptrdiff_t start_of(std::string_view text) { return text.starts_with("\xef\xbb\xbf") ? 3 : 0; }

// The offset of the first character for which the behaviour of toml++ 3.3 is undefined. That is a
// control character, or one beyond ASCII outside of strings and comments: no TOML has them there.
// In triple quotes it is also one beyond ASCII behind a backslash and white space.
std::size_t first_foreign(std::string_view text) {
  std::string_view end;
  char before = '\n';
  bool has_equals = false;  // In this line. A second equals sign is a part of the value.
  for (auto i = static_cast<std::size_t>(start_of(text)); i < text.size(); ++i) {
    const auto rest = text.substr(i);
    if (is_control(text[i])) return i;
    if (text[i] == '\n' && end.size() <= 1) {
      end = {};  // toml++ notices a string that has no end.
      before = '\n';
      has_equals = false;
    } else if (end.empty()) {
      end = end_mark_of(rest, before);
      before = text[i] == '=' && std::exchange(has_equals, true) ? 'x' : text[i];
      if (end.empty() && is_beyond_ascii(text[i])) return i;
      if (end.size() > 1) i += end.size() - 1;
    } else if (rest.starts_with(end)) {
      i += end.size() - 1;
      // A text in triple quotes may end with two quotes of its own.
      for (int more = 0; end.size() > 1 && more < 2 && text.substr(i + 1, 1) == end.substr(1, 1);
           ++more) {
        ++i;
      }
      before = text[i];
      end = {};
    } else if (end.front() == '"' && rest.starts_with('\\')) {
      const auto next = text.find_first_not_of(" \t\r\n", i + 1);
      if (end.size() > 1 && next < text.size() && is_beyond_ascii(text[next])) return next;
      if (rest.size() > 1 && rest[1] != '\n' && !is_control(rest[1])) ++i;
    }
  }
  return std::string_view::npos;
}

// Parses a text that has no first_foreign(). In a malformed text toml++ may see a string end
// elsewhere. It therefore reads the text in ASCII first, and refuses '!' where TOML has no text.
toml::table parsed(std::string_view text) {
  const auto body = start_of(text);
  std::string ascii(text);
  std::replace_if(ascii.begin() + body, ascii.end(), is_beyond_ascii, '!');
  static_cast<void>(toml::parse(std::string_view(ascii)));
  return toml::parse(text);
}

bool is_toml(const std::string& text) {
  if (first_foreign(text) != std::string_view::npos) return false;
  try {
    static_cast<void>(parsed(text));
    return true;
  } catch (const toml::parse_error&) {
    return false;
  }
}

class Reader {
 public:
  Reader(std::string_view text, const std::string& file, const std::vector<ConfigKey>& keys)
      : text_(text), file_(escaped(file)), keys_(keys) {}

  [[nodiscard]] std::vector<ConfigEntry> entries() const;

 private:
  [[noreturn]] void refuse(std::size_t line, const std::string& message) const {
    throw UsageError(fmt::format("{}:{}: {}", file_, line, message));
  }
  [[noreturn]] void refuse_text(const toml::parse_error& error) const;
  void refuse_foreign() const;

  [[nodiscard]] std::string value_of(const ConfigKey& key, const toml::node& node) const;
  [[nodiscard]] std::vector<std::string> values_of(const ConfigKey& key,
                                                   const toml::node& node) const;

  std::string_view text_;
  std::string file_;
  const std::vector<ConfigKey>& keys_;
};

void Reader::refuse_text(const toml::parse_error& error) const {
  const auto mistake =
      find_mistake(text_, error.source().begin.line, error.description(), keys_, is_toml);
  refuse(mistake.line, mistake.message);
}

void Reader::refuse_foreign() const {
  const auto at = first_foreign(text_);
  if (at == std::string_view::npos) return;
  const auto line = 1 + static_cast<std::size_t>(std::count(
                            text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
  if (is_control(text_[at])) {
    refuse(line, fmt::format("this line holds the control character '{}': delete it",
                             escaped(text_.substr(at, 1))));
  }
  const auto mistake =
      find_mistake(text_, line, "a character beyond ASCII outside of quotes or behind a backslash",
                   keys_, is_toml);
  refuse(mistake.line, mistake.message);
}

std::string Reader::value_of(const ConfigKey& key, const toml::node& node) const {
  const std::size_t line = node.source().begin.line;
  if (const auto* const text = node.as_string()) {
    // A path or a command would end at the NUL.
    if (text->get().find('\0') != std::string::npos) {
      refuse(line, fmt::format("the text of '{}' holds a NUL character: delete it", key.name));
    }
    return text->get();
  }
  if (const auto* const number = node.as_integer()) return std::to_string(number->get());
  if (key.kind == KeyKind::flag) {
    if (const auto* const is_set = node.as_boolean()) return is_set->get() ? "true" : "false";
    refuse(line, fmt::format("'{0}' must be true or false: write {0} = true", key.name));
  }
  if (const auto* const number = node.as_floating_point()) {
    auto text = fmt::format("{}", number->get());
    // The option parser checks the text of a whole number, and must refuse 5.0.
    if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
    return text;
  }
  std::ostringstream date;
  node.visit([&](const auto& value) {
    if constexpr (toml::is_chronological<decltype(value)>) date << value.get();
  });
  refuse(line, fmt::format("'{0}' must be a text or a number: write {0} = \"{1}\"", key.name,
                           date.str().empty() ? "VALUE" : date.str()));
}

std::vector<std::string> Reader::values_of(const ConfigKey& key, const toml::node& node) const {
  const auto* const array = node.as_array();
  if (array == nullptr) return {value_of(key, node)};
  const std::size_t line = node.source().begin.line;
  if (array->empty()) {
    refuse(line,
           fmt::format("the array of '{}' is empty: name a value, or delete the key", key.name));
  }
  if (key.kind != KeyKind::list && array->size() > 1) {
    refuse(line, fmt::format("'{}' has one value, and the array holds {}: keep one of them",
                             key.name, array->size()));
  }
  std::vector<std::string> values;
  for (const auto& element : *array) values.push_back(value_of(key, element));
  return values;
}

std::vector<ConfigEntry> Reader::entries() const {
  refuse_foreign();
  toml::table table;
  try {
    table = parsed(text_);
  } catch (const toml::parse_error& error) {
    refuse_text(error);
  }
  // toml++ sorts the keys by name, but the operator reads from the top.
  std::vector<std::pair<const toml::key*, const toml::node*>> found;
  for (const auto& [key, node] : table) found.emplace_back(&key, &node);
  std::sort(found.begin(), found.end(), [](const auto& left, const auto& right) {
    return left.first->source().begin < right.first->source().begin;
  });
  std::vector<ConfigEntry> all;
  for (const auto& [name, node] : found) {
    const std::size_t line = name->source().begin.line;
    const auto* const key = find_key(keys_, name->str());
    const bool is_table = node->is_table() || node->is_array_of_tables();
    if (key == nullptr && is_table) {
      refuse(line, fmt::format("the file has a table [{}]: write its keys without one",
                               escaped(name->str())));
    }
    if (key == nullptr) refuse(line, unknown_key(name->str(), keys_));
    all.push_back({key->name, values_of(*key, *node), static_cast<unsigned>(line)});
  }
  return all;
}

[[noreturn]] void cannot_read(const std::filesystem::path& path, std::string_view cause) {
  throw UsageError(
      fmt::format("cannot read '{}': {}: let this user read it, or name another file by --config",
                  escaped(path.string()), cause));
}

}  // namespace

std::optional<std::string> read_config(const std::filesystem::path& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    cannot_read(path, std::strerror(errno));
  }
  std::string text;
  std::array<char, 4096> block{};
  while (true) {
    const auto got = read(file.number(), block.data(), block.size());
    if (got < 0) cannot_read(path, std::strerror(errno));
    if (got == 0) return text;
    text.append(block.data(), static_cast<std::size_t>(got));
    if (text.size() > kLargestFile) cannot_read(path, "it has more than 1 MB");
  }
}

std::vector<ConfigEntry> parse_config(std::string_view text, const std::string& file,
                                      const std::vector<ConfigKey>& keys) {
  return Reader(text, file, keys).entries();
}

}  // namespace libsync
