#pragma once

// Threads for what takes the processor or the disk long: hashing, copying, putting data on disk.
//
// The program's one event loop submits work together with what is to be done with its result. The
// work runs on a thread of these and must share nothing that changes; the rest runs on the loop's
// own thread, inside collect(), so that nothing else needs a lock. Works begin in the order in
// which they were submitted; with one thread they also end in it.
//
// The destructor asks what runs to stop (std::stop_token), waits for it, and drops what has not
// begun, so a work must leave the disk as after a crash at any point.

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

class Workers {
 public:
  explicit Workers(unsigned threads);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// `work(stop_token)` gives a result, `then(result)` takes it.
  template <typename Work, typename Then>
  void submit(Work work, Then then) {
    add([work = std::move(work), then = std::move(then)](const std::stop_token& stop) mutable {
      return Completion(
          [then = std::move(then), result = work(stop)]() mutable { then(std::move(result)); });
    });
  }

  /// Readable when collect() has something to do.
  [[nodiscard]] int descriptor() const { return ready_.number(); }

  /// Runs what follows each finished work. A Failure that a work ended with is thrown here; the
  /// other completions are then left for the next call.
  void collect();

  /// Works submitted and not collected yet.
  [[nodiscard]] std::size_t pending() const { return pending_; }

 private:
  using Completion = std::function<void()>;
  using Job = std::function<Completion(const std::stop_token&)>;

  void add(Job job);
  void work(const std::stop_token& stop);
  void tell() const;  // Makes the descriptor readable.

  Descriptor ready_;
  std::size_t pending_ = 0;  // Of the loop's thread.
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<Job> jobs_;               // Guarded by mutex_.
  std::deque<Completion> completed_;   // Guarded by mutex_.
  std::vector<std::jthread> threads_;  // Last: they use all of the above.
};

}  // namespace libsync
