#pragma once

// The command that runs on a host after it has published a payload: `--after-publish`.

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace libsync {

/// Whether there is a command.
enum class Hook { none, configured };

class AfterPublish {
 public:
  virtual ~AfterPublish() = default;

  [[nodiscard]] virtual Hook hook() const = 0;

  /// Runs the command, if there is one, and waits for it, ten minutes at most. SYNC_FANOUT_PATH in
  /// its environment is `published`. Logs its output. Calls `at_work` every 5 s while it waits;
  /// that must not throw. Returns the reason of a failure, for a person, or nothing.
  [[nodiscard]] virtual std::optional<std::string> run(const std::filesystem::path& published,
                                                       const std::function<void()>& at_work) = 0;
};

}  // namespace libsync
