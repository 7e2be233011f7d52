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

std::optional<DaemonConfig> config_for(const DaemonCommand& command, const Address& self,
                                       std::uint16_t port) {
  std::error_code unknown;
  const auto file = std::filesystem::canonical(command.config, unknown);
  if (unknown) return std::nullopt;
  std::optional<std::string> text;
  try {
    text = read_file(file, kConfigBytes);
  } catch (const Failure&) {
    return std::nullopt;  // Another user's.
  }
  if (!text) return std::nullopt;
  const auto settings = read_daemon_settings(*text);
  const auto& address = command.address.empty() ? settings.address : command.address;
  const bool is_ours =
      (address.empty() || address == self.text()) && command.port.value_or(settings.port) == port;
  if (!is_ours) return std::nullopt;
  return DaemonConfig{command.config,
                      settings.socket_options.find("TCP_NODELAY") != std::string::npos};
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

DaemonSettings read_daemon_settings(std::string_view text) {
  DaemonSettings settings;
  bool is_global = true;
  for (const auto whole : lines_of(text)) {
    const auto line = trimmed(whole);
    if (line.starts_with("[")) is_global = plain(line) == "[global]";
    const auto equals = line.find('=');
    if (!is_global || line.starts_with("#") || equals == std::string_view::npos) continue;
    const auto name = plain(line.substr(0, equals));
    const auto value = trimmed(line.substr(equals + 1));
    if (name == "address") settings.address = value;
    if (name == "port") settings.port = parse_number<std::uint16_t>(value).value_or(0);
    if (name == "socketoptions") settings.socket_options = value;
  }
  return settings;
}

std::optional<DaemonConfig> daemon_config(const Address& self, std::uint16_t port) {
  for (const auto& words : command_lines()) {
    const auto command = read_daemon_command(words);
    if (!command) continue;
    if (auto config = config_for(*command, self, port)) return config;
  }
  return config_for({}, self, port);
}

}  // namespace libsync
