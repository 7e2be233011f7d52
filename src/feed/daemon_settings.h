#pragma once

// Reads the socket options of this host's rsync daemon in its configuration.
//
// No peer can see the socket options of the other end. So `check` reads them.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libsync/core/address.h"

namespace libsync {

/// A daemon as its command line shows it.
struct DaemonCommand {
  std::filesystem::path config = "/etc/rsyncd.conf";
  std::string address;                ///< Empty: none is given.
  std::optional<std::uint16_t> port;  ///< Nothing: none is given.
};

/// Nothing if the words are not those of an rsync daemon.
[[nodiscard]] std::optional<DaemonCommand> read_daemon_command(
    const std::vector<std::string>& words);

/// The settings of the daemon, and of one module, in a text of the form of rsyncd.conf.
struct DaemonSettings {
  std::string address;  ///< Empty: every address of the host.
  std::uint16_t port = 873;
  std::string socket_options;
  std::optional<std::uint32_t> max_connections{};  ///< At the module. Nothing: no limit.
};

/// The texts that a directive adds: that of a file, or those of a folder's files with this suffix,
/// in the order of their names.
using IncludedTexts = std::function<std::vector<std::string>(const std::filesystem::path& path,
                                                             std::string_view suffix)>;

/// `&include` and `&merge` are read as rsync reads them.
[[nodiscard]] DaemonSettings read_daemon_settings(std::string_view text,
                                                  const IncludedTexts& included = {},
                                                  std::string_view module = {});

/// The texts on this disk. Files that this user may not read have none.
[[nodiscard]] std::vector<std::string> included_texts(const std::filesystem::path& path,
                                                      std::string_view suffix);

/// A configuration file that a daemon of this host uses.
struct DaemonConfig {
  std::filesystem::path file;
  bool has_no_delay = false;                       ///< The daemon sets TCP_NODELAY.
  std::optional<std::uint32_t> max_connections{};  ///< At the module. Nothing: no limit.
};

/// The file of the daemon that listens at this address. Nothing if no running daemon has a legible
/// one, and /etc/rsyncd.conf is none.
[[nodiscard]] std::optional<DaemonConfig> daemon_config(const Address& self, std::uint16_t port,
                                                        std::string_view module);

}  // namespace libsync
