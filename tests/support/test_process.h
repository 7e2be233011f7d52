#pragma once

// Runs programs for tests: to their end, or in the background until the test ends.

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "os/process.h"

namespace libsync::test {

struct Ran {
  int status = -1;  ///< Exit status, or 128 + the number of the signal that ended it.
  std::string output;
  std::string errors;
};

/// Runs a command line, whose first word is a program in PATH. If it does not start, or runs for
/// more than a minute, an expectation fails.
[[nodiscard]] Ran run(const std::vector<std::string>& words, const std::string& input = "");

/// The problem that a program has written to standard error, without its date and its severity. An
/// expectation fails if these two are not there.
[[nodiscard]] std::string problem_in(const Ran& ran);

/// A program in the background with its output in a file. The destructor sends TERM, then KILL.
class Background {
 public:
  Background(const std::vector<std::string>& words, const std::filesystem::path& log);
  ~Background();
  Background(Background&&) = default;

  [[nodiscard]] int pid() const { return pid_; }

  /// Waits for its end, and returns its status. If it does not end in time, an expectation fails
  /// and the result is -1.
  int wait(std::chrono::seconds limit = std::chrono::seconds(60));

  [[nodiscard]] bool has_ended();

  void signal(int number) const;

 private:
  std::optional<Child> child_;
  std::optional<int> status_;
  int pid_ = -1;
};

/// Repeats the check until it holds. False after `limit`.
[[nodiscard]] bool eventually(const std::function<bool()>& holds,
                              std::chrono::seconds limit = std::chrono::seconds(60));

}  // namespace libsync::test
