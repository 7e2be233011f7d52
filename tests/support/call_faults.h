#pragma once

// Calls of a fake that fail when the test says so, and a list of all that were made.

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "libsync/core/failure.h"

namespace libsync::test {

/// How much of a failing call is lost.
enum class Lost {
  call,    ///< All of it: nothing has changed.
  answer,  ///< The call took effect, and the caller cannot know that.
};

class CallFaults {
 public:
  /// A failing call throws `failure`. The check wants a `throw` at once.
  // NOLINTNEXTLINE(bugprone-throw-keyword-missing)
  explicit CallFaults(Failure failure) : failure_(std::move(failure)) {}

  /// Makes the `nth` call from now fail, or the `nth` call of `verb`. The next call is number 1.
  void fail(std::size_t nth, Lost lost, std::string verb = {}) {
    planned_.push_back({nth, lost, std::move(verb)});
  }

  /// Makes every call fail, as if the server were unreachable, until recover().
  void break_off() { is_broken_off_ = true; }
  void recover() { is_broken_off_ = false; }

  /// Runs just before each call, with its verb. A test acts for other hosts here.
  std::function<void(std::string_view)> at_call;

  /// The verbs of all calls so far, in their order, with those that failed.
  [[nodiscard]] const std::vector<std::string>& verbs() const { return verbs_; }
  [[nodiscard]] std::size_t calls() const { return verbs_.size(); }
  [[nodiscard]] std::size_t calls_of(std::string_view verb) const {
    return static_cast<std::size_t>(std::count(verbs_.begin(), verbs_.end(), verb));
  }

  /// How many calls have failed.
  [[nodiscard]] std::size_t failed() const { return failed_; }

  /// Counts a call of `verb`, and makes it by `act` unless the call is to be lost.
  template <typename Act>
  std::invoke_result_t<Act> call(std::string_view verb, Act act) {
    if (at_call) at_call(verb);
    const auto lost = next_loss(verb);
    if (lost == Loss::call) fail_now();
    if constexpr (std::is_void_v<std::invoke_result_t<Act>>) {
      act();
      if (lost == Loss::answer) fail_now();
    } else {
      auto answer = act();
      if (lost == Loss::answer) fail_now();
      return answer;
    }
  }

 private:
  enum class Loss { none, call, answer };

  struct Planned {
    std::size_t left;
    Lost lost;
    std::string verb;
  };

  [[nodiscard]] Loss next_loss(std::string_view verb) {
    verbs_.emplace_back(verb);
    auto loss = is_broken_off_ ? Loss::call : Loss::none;
    for (auto& planned : planned_) {
      if (planned.left == 0 || (!planned.verb.empty() && planned.verb != verb)) continue;
      --planned.left;
      if (planned.left == 0) loss = planned.lost == Lost::call ? Loss::call : Loss::answer;
    }
    return loss;
  }

  [[noreturn]] void fail_now() {
    ++failed_;
    throw Failure(failure_);
  }

  Failure failure_;
  std::vector<Planned> planned_;
  std::vector<std::string> verbs_;
  std::size_t failed_ = 0;
  bool is_broken_off_ = false;
};

}  // namespace libsync::test
