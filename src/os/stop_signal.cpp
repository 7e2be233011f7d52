#include "os/stop_signal.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

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
}

StopSignal::~StopSignal() = default;

int StopSignal::descriptor() const { return file_->number(); }

bool StopSignal::requested() const {
  // The signal is never read, so the request stays.
  pollfd readable{file_->number(), POLLIN, 0};
  return poll(&readable, 1, 0) == 1;
}

}  // namespace libsync
