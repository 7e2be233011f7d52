#include "feed/daemon_settings.h"

#include <algorithm>
#include <cctype>

#include "libsync/core/failure.h"
#include "libsync/core/lines.h"
#include "libsync/core/number.h"
#include "os/files.h"
#include "os/processes.h"

namespace libsync {
namespace {

constexpr std::size_t kConfigBytes = std::size_t{1} << 20U;

// rsync ignores case and spaces in the name of a parameter.
std::string plain(std::string_view name) {
  std::string text;
  for (const char c : name) {
    const auto letter = static_cast<unsigned char>(c);
    if (std::isspace(letter) == 0) text.push_back(static_cast<char>(std::tolower(letter)));
  }
  return text;
}

std::optional<std::string> value_of(const std::vector<std::string>& words, std::size_t at,
                                    const std::string& option) {
  const auto& word = words[at];
  if (word.starts_with(option + "=")) return word.substr(option.size() + 1);
  if (word == option && at + 1 < words.size()) return words[at + 1];
  return std::nullopt;
}

// Nothing if there is no such file, or if it is another user's.
std::optional<std::string> text_of(const std::filesystem::path& file) {
  try {
    return read_file(file, kConfigBytes);
  } catch (const Failure&) {
    return std::nullopt;
  }
}

// The path of a directive in a line; nothing if the line has another one.
std::optional<std::filesystem::path> path_in(std::string_view line, std::string_view directive) {
  if (!line.starts_with(directive)) return std::nullopt;
  const auto rest = line.substr(directive.size());
  if (rest.find_first_of(" \t=") != 0) return std::nullopt;
  const auto path = trimmed(rest.substr(1));
  if (path.empty()) return std::nullopt;
  return path;
}

// Reads one text after the other. A file that includes itself ends somewhere.
class SettingsReader {
 public:
  SettingsReader(const IncludedTexts& included, std::string_view module)
      : included_(included), module_(module) {}

  // `section`: the module whose lines are next; empty for those of no module.
  void read(std::string_view text, std::string& section, unsigned depth) {
    if (depth > kDeepest) return;
    for (const auto whole : lines_of(text)) {
      const auto line = trimmed(whole);
      if (line.starts_with("[")) section = section_of(line);
      if (line.starts_with("&")) include_files(line, section, depth);
      const auto equals = line.find('=');
      if (line.starts_with("#") || equals == std::string_view::npos) continue;
      const auto name = plain(line.substr(0, equals));
      const auto value = trimmed(line.substr(equals + 1));
      if (section.empty()) set(name, value);
      if (name != "maxconnections") continue;
      if (section.empty()) of_all_ = value;
      if (section == module_ && !section.empty()) of_module_ = value;
    }
  }

  [[nodiscard]] DaemonSettings settings() const {
    auto settings = settings_;
    const auto most = parse_number<std::uint32_t>(of_module_.value_or(of_all_)).value_or(0);
    if (most > 0) settings.max_connections = most;
    return settings;
  }

 private:
  static constexpr unsigned kDeepest = 8;

  // The name of a module; empty for the settings of no module.
  static std::string section_of(std::string_view line) {
    if (plain(line) == "[global]") return {};
    return std::string(trimmed(line.substr(1, line.find(']') - 1)));
  }

  // For the settings of no module the two differ in the suffix alone: a module that begins in an
  // included file goes on behind it.
  void include_files(std::string_view line, std::string& section, unsigned depth) {
    const auto path = path_in(line, "&include");
    const auto merged = path_in(line, "&merge");
    if (!included_ || (!path && !merged)) return;
    for (const auto& text : path ? included_(*path, ".conf") : included_(*merged, ".inc")) {
      read(text, section, depth + 1);
    }
  }

  void set(const std::string& name, std::string_view value) {
    if (name == "address") settings_.address = value;
    if (name == "port") settings_.port = parse_number<std::uint16_t>(value).value_or(0);
    if (name == "socketoptions") settings_.socket_options = value;
  }

  const IncludedTexts& included_;
  std::string module_;
  DaemonSettings settings_;
  std::string of_all_;  // `max connections` of all modules, and of this one.
  std::optional<std::string> of_module_;
};

std::optional<DaemonConfig> config_for(const DaemonCommand& command, const Address& self,
                                       std::uint16_t port, std::string_view module) {
  std::error_code unknown;
  const auto file = std::filesystem::canonical(command.config, unknown);
  if (unknown) return std::nullopt;
  const auto text = text_of(file);
  if (!text) return std::nullopt;
  const auto settings = read_daemon_settings(*text, included_texts, module);
  const auto& address = command.address.empty() ? settings.address : command.address;
  const bool is_ours =
      (address.empty() || address == self.text()) && command.port.value_or(settings.port) == port;
  if (!is_ours) return std::nullopt;
  return DaemonConfig{command.config,
                      settings.socket_options.find("TCP_NODELAY") != std::string::npos,
                      settings.max_connections};
}

}  // namespace

std::optional<DaemonCommand> read_daemon_command(const std::vector<std::string>& words) {
  if (words.empty() || std::filesystem::path(words.front()).filename() != "rsync") {
    return std::nullopt;
  }
  if (std::find(words.begin(), words.end(), "--daemon") == words.end()) return std::nullopt;
  DaemonCommand command;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (const auto config = value_of(words, i, "--config")) command.config = *config;
    if (const auto address = value_of(words, i, "--address")) command.address = *address;
    if (const auto port = value_of(words, i, "--port")) {
      command.port = parse_number<std::uint16_t>(*port);
    }
  }
  return command;
}

DaemonSettings read_daemon_settings(std::string_view text, const IncludedTexts& included,
                                    std::string_view module) {
  SettingsReader reader(included, module);
  std::string section;
  reader.read(text, section, 0);
  return reader.settings();
}

std::vector<std::string> included_texts(const std::filesystem::path& path,
                                        std::string_view suffix) {
  std::error_code unknown;
  std::vector<std::filesystem::path> files{path};
  if (std::filesystem::is_directory(path, unknown)) {
    files.clear();
    try {
      for (const auto& name : names_in(path)) {
        if (name.ends_with(suffix)) files.push_back(path / name);
      }
    } catch (const Failure&) {
      return {};  // Another user's.
    }
    std::sort(files.begin(), files.end());
  }
  std::vector<std::string> texts;
  for (const auto& file : files) {
    const auto real = std::filesystem::canonical(file, unknown);
    auto text = unknown ? std::nullopt : text_of(real);
    if (text) texts.push_back(*std::move(text));
  }
  return texts;
}

std::optional<DaemonConfig> daemon_config(const Address& self, std::uint16_t port,
                                          std::string_view module) {
  for (const auto& words : command_lines()) {
    const auto command = read_daemon_command(words);
    if (!command) continue;
    if (auto config = config_for(*command, self, port, module)) return config;
  }
  return config_for({}, self, port, module);
}

}  // namespace libsync
