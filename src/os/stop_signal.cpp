#include "os/stop_signal.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cstdint>

#include "os/descriptor.h"
#include "os/files.h"

namespace libsync {

StopSignal::StopSignal() {
  sigset_t stopping;
  sigemptyset(&stopping);
  sigaddset(&stopping, SIGTERM);
  sigaddset(&stopping, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stopping, nullptr);
  file_ = std::make_unique<Descriptor>(signalfd(-1, &stopping, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!*file_) throw_disk_failure("make", "a signalfd");
  ending_ = std::make_unique<Descriptor>(eventfd(0, EFD_CLOEXEC));
  if (!*ending_) throw_disk_failure("make", "an eventfd");
  watcher_ = std::jthread([signal = file_->number(), end = ending_->number(), this] {
    std::array<pollfd, 2> both{pollfd{signal, POLLIN, 0}, pollfd{end, POLLIN, 0}};
    while (poll(both.data(), both.size(), -1) < 0) continue;
    if (both[0].revents != 0) source_.request_stop();
  });
}

StopSignal::~StopSignal() {
  const std::uint64_t one = 1;
  static_cast<void>(!write(ending_->number(), &one, sizeof one));
}

int StopSignal::descriptor() const { return file_->number(); }

bool StopSignal::requested() const {
  // The signal is never read, so the request stays.
  pollfd readable{file_->number(), POLLIN, 0};
  return poll(&readable, 1, 0) == 1;
}

}  // namespace libsync
