#include "test_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <regex>
#include <thread>

#include "libsync/clock.h"
#include "os/system_clock.h"

namespace libsync::test {
namespace {

int status_of(const ChildEnd& end) {
  if (const auto* const exited = std::get_if<Exited>(&end)) return exited->code;
  return 128 + std::get<Signalled>(end).signal;
}

std::vector<std::string> inherited_environment() {
  std::vector<std::string> all;
  for (char** next = environ; *next != nullptr; ++next) all.emplace_back(*next);
  return all;
}

Child start(const std::vector<std::string>& words, const std::string& input) {
  const auto program = words.front().starts_with('/')
                           ? std::optional<std::filesystem::path>(words.front())
                           : find_program(words.front());
  EXPECT_TRUE(program) << words.front() << " is not installed";
  return Child::start(
      {program.value(), {words.begin() + 1, words.end()}, inherited_environment(), input, -1});
}

}  // namespace

Ran run(const std::vector<std::string>& words, const std::string& input) {
  constexpr std::chrono::seconds kLimit{60};
  SystemClock clock;
  auto child = start(words, input);
  const auto until = clock.now() + kLimit;
  Ran ran;
  while (true) {
    const auto end = child.ended();
    for (const auto& line : child.lines()) ran.output += line + "\n";
    ran.errors = child.errors();
    if (end) {
      ran.status = status_of(*end);
      return ran;
    }
    if (clock.now() >= until) {
      ADD_FAILURE() << words.front() << " takes too long";
      return ran;
    }
    std::vector<int> descriptors;
    child.append_descriptors(descriptors);
    clock.wait(until, descriptors);
  }
}

std::string problem_in(const Ran& ran) {
  static const std::regex stamp("^\\d\\d-[A-Z][a-z]{2}-\\d\\d \\d\\d:\\d\\d:\\d\\d - error: ");
  std::smatch match;
  EXPECT_TRUE(std::regex_search(ran.errors, match, stamp)) << ran.errors;
  return match.suffix();
}

Background::Background(const std::vector<std::string>& words, const std::filesystem::path& log) {
  // The shell redirects the output, and exec replaces it by the program.
  std::vector<std::string> all{"/bin/sh", "-c", "exec \"$@\" >>\"$0\" 2>&1", log.string()};
  all.insert(all.end(), words.begin(), words.end());
  child_.emplace(start(all, ""));
  pid_ = child_->pid();
}

Background::~Background() {
  if (!child_ || has_ended()) return;
  child_->terminate();
  constexpr std::chrono::seconds kFarewell{10};
  static_cast<void>(eventually([this] { return has_ended(); }, kFarewell));
}

bool Background::has_ended() {
  if (status_) return true;
  if (const auto end = child_->ended()) status_ = status_of(*end);
  return status_.has_value();
}

int Background::wait(std::chrono::seconds limit) {
  EXPECT_TRUE(eventually([this] { return has_ended(); }, limit)) << "process " << pid_;
  return status_.value_or(-1);
}

void Background::signal(int number) const { kill(pid_, number); }

bool eventually(const std::function<bool()>& holds, std::chrono::seconds limit) {
  constexpr std::chrono::milliseconds kPause{20};
  const auto until = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

}  // namespace libsync::test
