#pragma once

// The functions as tests load them: a caller passes the time.

#include <stdexcept>
#include <string>
#include <string_view>

#include "redis/coordinator.h"

namespace libsync::test {

enum class CallersTime {
  time,   ///< The time of the run, whatever it was before.
  clock,  ///< The clock of Redis, which may step.
};

/// The text of the functions with one line replaced.
[[nodiscard]] inline std::string timed_functions(
    CallersTime what = CallersTime::time, std::string text = std::string(functions_source())) {
  constexpr std::string_view kLine = "\nlocal CALLERS = 'nothing'\n";
  const auto at = text.find(kLine);
  if (at == std::string::npos) throw std::logic_error("the functions have no line to replace");
  return text.replace(
      at, kLine.size(),
      what == CallersTime::time ? "\nlocal CALLERS = 'time'\n" : "\nlocal CALLERS = 'clock'\n");
}

}  // namespace libsync::test
