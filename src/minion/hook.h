#pragma once

// The AfterPublish that gives the command to `/bin/sh -c`.
//
// The command comes from this host's own configuration, never from Redis. The path of the payload
// reaches it in the environment and not in its text, so no name can become a command.
//
// The command has the umask of this program. Its output is in the log: the last 4 kB, escaped. The
// processes that it leaves in the background live on, and nobody waits for them. Their output from
// then on is read and dropped.

#include <functional>
#include <string>

#include "libsync/after_publish.h"
#include "libsync/clock.h"
#include "os/process.h"
#include "os/stop_signal.h"

namespace libsync {

class ShellAfterPublish final : public AfterPublish {
 public:
  ShellAfterPublish(std::string command, Clock& clock, const StopSignal& stop)
      : command_(std::move(command)), clock_(clock), stop_(stop) {}

  [[nodiscard]] Hook hook() const override {
    return command_.empty() ? Hook::none : Hook::configured;
  }
  [[nodiscard]] std::optional<std::string> run(const std::filesystem::path& published,
                                               const std::function<void()>& at_work) override;

 private:
  /// Nothing if the command has to be ended.
  [[nodiscard]] std::optional<ChildEnd> wait_for(Child& child,
                                                 const std::function<void()>& at_work);

  std::string command_;
  Clock& clock_;
  const StopSignal& stop_;
};

}  // namespace libsync
