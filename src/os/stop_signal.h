#pragma once

// TERM and INT as a descriptor. An event loop waits for them, and they interrupt nothing.

#include <memory>

namespace libsync {

class Descriptor;

class StopSignal {
 public:
  /// From now on TERM and INT do not end the process. Construct it before any thread starts,
  /// because threads inherit the blocked signals.
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// Readable after the first signal, and from then on.
  [[nodiscard]] int descriptor() const;

  /// Whether a signal has arrived. Never blocks.
  [[nodiscard]] bool requested() const;

 private:
  std::unique_ptr<Descriptor> file_;
};

}  // namespace libsync
