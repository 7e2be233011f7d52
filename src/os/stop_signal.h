#pragma once

// TERM and INT, as something that an event loop waits for instead of something that interrupts it.

#include <memory>

namespace libsync {

class Descriptor;

class StopSignal {
 public:
  /// From here on TERM and INT do not end the process. To be made before any thread is started,
  /// since threads inherit which signals are held back.
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// Readable once somebody has asked us to stop.
  [[nodiscard]] int descriptor() const;

  [[nodiscard]] bool requested() const;

 private:
  std::unique_ptr<Descriptor> file_;
};

}  // namespace libsync
