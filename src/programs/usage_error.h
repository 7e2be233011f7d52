#pragma once

// The one exception of the programs beside Failure: the operator's input is wrong.

#include <stdexcept>
#include <string>

namespace libsync {

/// Wrong usage or configuration. The message is one line with the value, the rule and the way out.
class UsageError : public std::runtime_error {
 public:
  explicit UsageError(const std::string& message) : std::runtime_error(message) {}

  /// The message is `option` (`--linger`) and, right behind it, `rest`. A program that read the
  /// value in its configuration file names the file, the line and the key instead of the option.
  UsageError(const std::string& option, const std::string& rest)
      : std::runtime_error(option + rest), option_(option), rest_(rest) {}

  [[nodiscard]] const std::string& option() const { return option_; }  ///< Empty: none.
  [[nodiscard]] const std::string& rest() const { return rest_; }

 private:
  std::string option_;
  std::string rest_;
};

}  // namespace libsync
