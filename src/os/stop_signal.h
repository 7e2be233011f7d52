#pragma once

// TERM and INT as a descriptor. An event loop waits for them, and they interrupt nothing.

#include <memory>
#include <stop_token>
#include <thread>

namespace libsync {

class Descriptor;

/// Thrown by a function that a stop token has ended before it had a result. A tick that stops
/// catches it. It is no Failure: nothing is wrong.
struct Stopped {};

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

  /// A token for long work of the thread that waits otherwise. A thread of this object requests the
  /// stop when a signal arrives.
  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

 private:
  std::unique_ptr<Descriptor> file_;
  std::unique_ptr<Descriptor> ending_;  // Readable when this object ends.
  std::stop_source source_;
  std::jthread watcher_;  // The last member, because its thread uses all others.
};

}  // namespace libsync
