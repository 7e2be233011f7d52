#pragma once

// Programs that tests run: to their end, or in the background until the test is over.

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "os/process.h"

namespace libsync::test {

struct Ran {
  int status = -1;  ///< Exit status; 128 + number if a signal ended it.
  std::string output;
  std::string errors;
};

/// Runs a command line (program first, found in PATH), at most a minute. A failed expectation if it
/// takes longer or cannot be started.
[[nodiscard]] Ran run(const std::vector<std::string>& words, const std::string& input = "");

/// A program in the background, its output in a file. Ended with TERM, then KILL, when it goes.
class Background {
 public:
  Background(const std::vector<std::string>& words, const std::filesystem::path& log);
  ~Background();
  Background(Background&&) = default;

  [[nodiscard]] int pid() const { return pid_; }

  /// Waits for its end; a failed expectation and -1 if it does not come in time.
  int wait(std::chrono::seconds limit = std::chrono::seconds(60));

  [[nodiscard]] bool has_ended();

  void signal(int number) const;

 private:
  std::optional<Child> child_;
  std::optional<int> status_;
  int pid_ = -1;
};

/// Asks again and again until it holds; false after `limit`.
[[nodiscard]] bool eventually(const std::function<bool()>& holds,
                              std::chrono::seconds limit = std::chrono::seconds(60));

}  // namespace libsync::test
