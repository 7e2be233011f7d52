#include "os/workers.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace libsync {

Workers::Workers(unsigned threads) : ready_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!ready_) throw_disk_failure("make", "an eventfd");
  for (unsigned i = 0; i < threads; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }
}

Workers::~Workers() {
  for (auto& thread : threads_) thread.request_stop();
  threads_.clear();
}

void Workers::add(Job job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  ++pending_;
  wake_.notify_one();
}

void Workers::work(const std::stop_token& stop) {
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      if (!wake_.wait(lock, stop, [this] { return !jobs_.empty(); })) return;
      if (stop.stop_requested()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    Completion completion;
    try {
      completion = job(stop);
    } catch (...) {
      completion = [error = std::current_exception()] { std::rethrow_exception(error); };
    }
    {
      const std::lock_guard lock(mutex_);
      completed_.push_back(std::move(completion));
    }
    make_readable();
  }
}

void Workers::make_readable() const {
  const std::uint64_t one = 1;
  static_cast<void>(!write(ready_.number(), &one, sizeof one));
}

void Workers::collect() {
  std::uint64_t count = 0;
  static_cast<void>(!read(ready_.number(), &count, sizeof count));
  while (true) {
    Completion completion;
    {
      const std::lock_guard lock(mutex_);
      if (completed_.empty()) return;
      completion = std::move(completed_.front());
      completed_.pop_front();
    }
    --pending_;
    try {
      completion();
    } catch (...) {
      make_readable();  // For the continuations that remain.
      throw;
    }
  }
}

}  // namespace libsync
