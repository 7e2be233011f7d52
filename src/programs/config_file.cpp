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

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7f;
}

bool is_beyond_ascii(char c) { return static_cast<unsigned char>(c) >= 0x80; }

// Replaces a byte beyond ASCII. TOML allows both in the same places: strings and comments.
constexpr char kReplacement = '!';

// The text in ASCII. toml++ refuses it where its behaviour would be undefined for the text itself.
// One such place is outside of strings and comments. The other is, in triple quotes, behind a
// backslash and white space: a second replacement makes these an unknown escape sequence.
std::string in_ascii(std::string_view text) {
  std::string ascii;
  for (std::size_t i = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
       i < text.size(); ++i) {
    ascii += is_beyond_ascii(text[i]) ? kReplacement : text[i];
    if (text[i] != '\\') continue;
    const auto next = text.find_first_not_of(" \t\r\n", i + 1);
    if (next < text.size() && is_beyond_ascii(text[next])) ascii += kReplacement;
  }
  return ascii;
}

// Parses a text that has no control characters. For those, and for some characters beyond ASCII,
// the behaviour of toml++ 3.3 is undefined.
toml::table parsed(std::string_view text) {
  static_cast<void>(toml::parse(in_ascii(text)));
  return toml::parse(text);
}

bool is_toml(const std::string& text) {
  if (std::any_of(text.begin(), text.end(), is_control)) return false;
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
  void refuse_control() const;

  [[nodiscard]] std::string value_of(const ConfigKey& key, const toml::node& node) const;
  [[nodiscard]] std::vector<std::string> values_of(const ConfigKey& key,
                                                   const toml::node& node) const;

  std::string_view text_;
  std::string file_;
  const std::vector<ConfigKey>& keys_;
};

void Reader::refuse_text(const toml::parse_error& error) const {
  const bool is_replacement = error.description().find(kReplacement) != std::string_view::npos;
  const auto mistake = find_mistake(
      text_, error.source().begin.line,
      is_replacement ? "'!' or a character beyond ASCII outside of quotes or behind a backslash"
                     : error.description(),
      keys_, is_toml);
  refuse(mistake.line, mistake.message);
}

void Reader::refuse_control() const {
  const auto* const at = std::find_if(text_.begin(), text_.end(), is_control);
  if (at == text_.end()) return;
  const auto line = 1 + static_cast<std::size_t>(std::count(text_.begin(), at, '\n'));
  refuse(line, fmt::format("this line holds the control character '{}': delete it",
                           escaped(std::string_view(at, 1))));
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
  refuse_control();
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
