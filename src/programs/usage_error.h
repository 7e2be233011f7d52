#pragma once

// The exception for wrong input of the operator. The programs throw only it and Failure.

#include <stdexcept>
#include <string>

namespace libsync {

/// Wrong usage or configuration. The message is one line with the value, the rule and the way out.
/// It never shows a password.
class UsageError : public std::runtime_error {
 public:
  explicit UsageError(const std::string& message) : std::runtime_error(message) {}

  /// The message is `option` (say `--linger`) and, right behind it, `rest`. If the value is from
  /// the configuration file, run_program() names the file, the line and the key instead of the
  /// option.
  UsageError(const std::string& option, const std::string& rest)
      : std::runtime_error(option + rest), option_(option), rest_(rest) {}

  /// The option that has the wrong value; empty if the error concerns none.
  [[nodiscard]] const std::string& option() const { return option_; }
  [[nodiscard]] const std::string& rest() const { return rest_; }

 private:
  std::string option_;
  std::string rest_;
};

}  // namespace libsync
