#pragma once

// The events of a simulation, as one number. Two runs of one seed have the same.

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <string_view>

namespace libsync::simulation {

class Trace {
 public:
  enum class Shown { no, yes };

  /// Shown::yes prints each line.
  explicit Trace(Shown shown) : shown_(shown) {}

  void note(double now, std::string_view what, std::uint64_t first = 0, std::uint64_t second = 0) {
    const auto line = fmt::format("{:.17g} {} {} {}\n", now, what, first, second);
    for (const char byte : line) {
      sum_ = (sum_ ^ static_cast<unsigned char>(byte)) * kPrime;
    }
    if (shown_ == Shown::yes) static_cast<void>(std::fputs(line.c_str(), stdout));
  }

  [[nodiscard]] std::uint64_t sum() const { return sum_; }

 private:
  // FNV-1a.
  static constexpr std::uint64_t kPrime = 0x100000001b3;
  std::uint64_t sum_ = 0xcbf29ce484222325;
  Shown shown_;
};

}  // namespace libsync::simulation
