#pragma once

// Threads for long work of the processor or the disk: hashing, copying, syncing.
//
// The event loop submits a job and a continuation. A worker thread runs the job, which may only
// touch data that no other thread changes. The continuation gets its result and runs on the thread
// of the loop, inside collect(), so no other code needs a lock.
//
// Jobs begin in the order of submission; with one thread they also end in it.
//
// The destructor asks running jobs to stop (std::stop_token), waits for them, and drops the others.
// So a job must leave the disk in a state that a crash could also leave.

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "os/descriptor.h"
#include "os/files.h"

namespace libsync {

/// All members belong to the thread of the loop.
class Workers {
 public:
  explicit Workers(unsigned threads);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Runs `work(stop_token)` on a thread, and later `then(result)` inside collect().
  template <typename Work, typename Then>
  void submit(Work work, Then then) {
    add([work = std::move(work), then = std::move(then)](const std::stop_token& stop) mutable {
      return Completion(
          [then = std::move(then), result = work(stop)]() mutable { then(std::move(result)); });
    });
  }

  /// Readable when collect() has something to do.
  [[nodiscard]] int descriptor() const { return ready_.number(); }

  /// Runs the continuations of all finished jobs. Throws the exception of a job that failed; the
  /// next call runs the remaining continuations.
  void collect();

  /// Number of jobs whose continuation has not run yet.
  [[nodiscard]] std::size_t pending() const { return pending_; }

 private:
  using Completion = std::function<void()>;
  using Job = std::function<Completion(const std::stop_token&)>;

  void add(Job job);
  void work(const std::stop_token& stop);
  void make_readable() const;

  Descriptor ready_;
  std::size_t pending_ = 0;  // Only the loop's thread uses it.
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<Job> jobs_;               // Guarded by mutex_.
  std::deque<Completion> completed_;   // Guarded by mutex_.
  std::vector<std::jthread> threads_;  // The last member, because threads use all others.
};

}  // namespace libsync
