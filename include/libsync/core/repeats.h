#pragma once

// The lines of a log for problems that repeat: a problem is logged once, and then counted.

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace libsync {

/// Counts the repetitions of lines. A count is due a minute after the line was logged, with the
/// next repetition. A line that was quiet for a minute is new again.
class Repeats {
 public:
  using Time = std::chrono::system_clock::time_point;

  /// A problem occurs. Returns the lines to log now: of its former repetitions, and of itself.
  [[nodiscard]] std::vector<std::string> on(const std::string& line, Time now);

  /// The counts that have not been logged, and forgets all lines.
  [[nodiscard]] std::vector<std::string> finish();

 private:
  struct Known {
    Time logged;
    Time last;
    std::size_t more = 0;  // Since it was logged.
  };

  static std::optional<std::string> count_of(const std::string& line, const Known& known);
  void forget_oldest(std::vector<std::string>& lines);

  std::map<std::string, Known> known_;
};

}  // namespace libsync
