#pragma once

// The command that an operator wants run after a payload has been published: `--after-publish`.

#include <filesystem>
#include <optional>
#include <string>

namespace libsync {

/// Whether there is a command.
enum class Hook { none, configured };

class AfterPublish {
 public:
  virtual ~AfterPublish() = default;

  [[nodiscard]] virtual Hook hook() const = 0;

  /// Runs the command, if one is configured, with SYNC_FANOUT_PATH set to what was published, and
  /// waits for it, ten minutes at the longest. Why it failed, for a person; nothing if it did not.
  [[nodiscard]] virtual std::optional<std::string> run(const std::filesystem::path& published) = 0;
};

}  // namespace libsync
