#include "os/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "libsync/clock.h"
#include "libsync/core/failure.h"
#include "os/system_clock.h"
#include "temporary_folder.h"
#include "test_process.h"

namespace libsync {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

ChildSpec shell(const std::string& script) {
  return {"/bin/bash", {"-c", script}, {"PATH=/usr/bin:/bin"}, "", -1};
}

// Reads all output of the child, and waits for its end by its descriptors alone.
ChildEnd end_of(Child& child, std::vector<std::string>* lines = nullptr) {
  SystemClock clock;
  const auto until = clock.now() + std::chrono::seconds(30);
  while (clock.now() < until) {
    const auto end = child.ended();
    for (auto& line : child.lines()) {
      if (lines != nullptr) lines->push_back(std::move(line));
    }
    static_cast<void>(child.errors());
    if (end) return *end;
    std::vector<int> descriptors;
    child.append_descriptors(descriptors);
    clock.wait(until, descriptors);
  }
  ADD_FAILURE() << "the child does not end";
  return Exited{-1};
}

int exit_code_of(Child& child, std::vector<std::string>* lines = nullptr) {
  const auto end = end_of(child, lines);
  const auto* const exited = std::get_if<Exited>(&end);
  return exited == nullptr ? -1 : exited->code;
}

bool is_alive(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string id;
  std::string name;
  std::string state;
  return file >> id >> name >> state && state != "Z";
}

TEST(Process, ReportsTheExitCode) {
  auto child = Child::start(shell("exit 23"));
  EXPECT_EQ(exit_code_of(child), 23);
}

TEST(Process, ReportsTheSignal) {
  auto child = Child::start(shell("kill -USR1 $$"));
  const auto end = end_of(child);
  ASSERT_TRUE(std::holds_alternative<Signalled>(end));
  EXPECT_EQ(std::get<Signalled>(end).signal, SIGUSR1);
}

TEST(Process, MissingProgramIsAFailureForTheOperator) {
  for (const auto* const program : {"/nonexistent/rsync", "/etc/passwd", "/etc"}) {
    try {
      static_cast<void>(Child::start({program, {}, {}, "", -1}));
      ADD_FAILURE() << program;
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.status(), ExitStatus::no_source) << program;
      EXPECT_EQ(failure.remedy(), Remedy::operator_acts) << program;
      EXPECT_THAT(failure.what(), HasSubstr(program));
    }
  }
}

TEST(Process, ArgumentsReachItAsTheyAre) {
  auto child = Child::start({"/usr/bin/printf", {"%s\\n", "a b", "$HOME", "*", ""}, {}, "", -1});
  std::vector<std::string> lines;
  EXPECT_EQ(exit_code_of(child, &lines), 0);
  EXPECT_THAT(lines, testing::ElementsAre("a b", "$HOME", "*", ""));
}

TEST(Process, LinesWrittenJustBeforeTheEndAreNotLost) {
  for (int i = 0; i < 50; ++i) {
    auto child = Child::start(shell("echo one; echo two"));
    std::vector<std::string> lines;
    EXPECT_EQ(exit_code_of(child, &lines), 0);
    ASSERT_THAT(lines, testing::ElementsAre("one", "two"));
  }
}

TEST(Process, LineArrivesWholeWhenItIsWrittenInParts) {
  auto child = Child::start(shell("printf 'one, '; sleep 0.1; printf 'and the same\\nnext'"));
  std::vector<std::string> lines;
  EXPECT_EQ(exit_code_of(child, &lines), 0);
  EXPECT_THAT(lines, testing::ElementsAre("one, and the same"));
}

// The time must grow with the bytes, and not with their square.
TEST(Process, EachOfManyLinesIsRead) {
  auto child = Child::start(shell("head -c 14000000 /dev/zero | tr '\\0' '\\n'"));
  std::vector<std::string> lines;
  EXPECT_EQ(exit_code_of(child, &lines), 0);
  EXPECT_EQ(lines.size(), 14'000'000U);
}

TEST(Process, ALineWithoutAnEndIsDroppedAndTheNextOneIsNot) {
  auto child =
      Child::start(shell("echo one; head -c 5000000 /dev/zero | tr '\\0' x; echo end; echo two"));
  std::vector<std::string> lines;
  EXPECT_EQ(exit_code_of(child, &lines), 0);
  EXPECT_THAT(lines, testing::ElementsAre("one", "two"));
}

// The folder of this process may be replaced, and deleted, by what it publishes.
TEST(Process, StartsInAFolderThatIsAlwaysThere) {
  const auto before = std::filesystem::current_path();
  const test::TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "replaced");
  std::filesystem::current_path(folder.path() / "replaced");
  std::filesystem::remove(folder.path() / "replaced");
  std::vector<std::string> lines;
  auto child = Child::start(shell("pwd"));
  const int code = exit_code_of(child, &lines);
  std::filesystem::current_path(before);
  EXPECT_EQ(code, 0);
  EXPECT_THAT(lines, testing::ElementsAre("/"));
}

TEST(Process, MuchOnStandardErrorDoesNotBlockItAndItsEndIsKept) {
  auto child = Child::start(shell("head -c 1000000 /dev/zero | tr '\\0' x >&2; echo last >&2"));
  EXPECT_EQ(exit_code_of(child), 0);
  EXPECT_EQ(child.errors().size(), 4096U);
  EXPECT_THAT(child.errors(), EndsWith("xlast\n"));
}

TEST(Process, OfMuchOnStandardErrorWholeLinesAreKept) {
  auto child = Child::start(shell("for i in $(seq 1000 2000); do echo line $i >&2; done"));
  EXPECT_EQ(exit_code_of(child), 0);
  EXPECT_EQ(child.errors().size() % std::string("line 1000\n").size(), 0U);
  EXPECT_THAT(child.errors(), StartsWith("line 1"));
  EXPECT_THAT(child.errors(), EndsWith("line 2000\n"));
}

TEST(Process, MuchOnStandardInputArrivesWhole) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "input";
  auto spec = shell("cat > " + path.string());
  spec.input = test::random_bytes(1U << 20U, 7);
  auto child = Child::start(spec);
  EXPECT_EQ(exit_code_of(child), 0);
  EXPECT_EQ(test::content_of(path), spec.input);
}

TEST(Process, HasNothingToReadIfItIsGivenNothing) {
  auto child = Child::start(shell("cat; exit 4"));
  EXPECT_EQ(exit_code_of(child), 4);
}

TEST(Process, ItsFilesAreNotForOthers) {
  const test::TemporaryFolder folder;
  auto child = Child::start(shell("touch " + (folder.path() / "file").string()));
  EXPECT_EQ(exit_code_of(child), 0);
  EXPECT_EQ(status_of(folder.path() / "file")->st_mode & 0777U, 0640U);
}

TEST(Process, MakesNoFileThatIsLargerThanItMay) {
  const test::TemporaryFolder folder;
  const auto write = [&](const std::string& bytes) {
    auto spec = shell("head -c " + bytes + " /dev/zero > " + (folder.path() / bytes).string());
    spec.largest_file = 5000;
    return spec;
  };
  auto obedient = Child::start(write("5000"));
  EXPECT_EQ(exit_code_of(obedient), 0);
  EXPECT_EQ(std::filesystem::file_size(folder.path() / "5000"), 5000U);
  auto greedy = Child::start(write("5001"));
  EXPECT_EQ(exit_code_of(greedy), 1) << "by a signal it could not say why";
  EXPECT_THAT(greedy.errors(), HasSubstr("File too large"));
  EXPECT_EQ(std::filesystem::file_size(folder.path() / "5001"), 5000U);
}

TEST(Process, SignalsThatAreBlockedHereReachIt) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  auto child = Child::start(shell("sleep 600"));
  sigprocmask(SIG_SETMASK, &before, nullptr);
  child.terminate();
  const auto end = end_of(child);
  ASSERT_TRUE(std::holds_alternative<Signalled>(end));
  EXPECT_EQ(std::get<Signalled>(end).signal, SIGTERM);
}

TEST(Process, ItsWholeGroupGoesWithIt) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "pid";
  auto child = Child::start(
      shell("trap '' TERM; sleep 600 & echo $! > " + path.string() + "; disown; exit 0"));
  EXPECT_EQ(exit_code_of(child), 0);
  const int grandchild = std::stoi(test::content_of(path));
  EXPECT_TRUE(test::eventually([&] { return !is_alive(grandchild); }));
}

TEST(Process, EndsWithItsHandle) {
  int pid = -1;
  {
    const auto child = Child::start(shell("trap '' TERM; while :; do sleep 1; done"));
    pid = child.pid();
    EXPECT_TRUE(is_alive(pid));
  }
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(Process, CountsTheBytesThatItAndItsChildrenRead) {
  const test::TemporaryFolder folder;
  const auto gate = folder.path() / "gate";
  auto child = Child::start(shell("(read -N 300000 x < <(tr '\\0' x < /dev/zero); touch " +
                                  gate.string() + "; read x <> <(:)) & wait"));
  EXPECT_TRUE(test::eventually([&] { return std::filesystem::exists(gate); }));
  EXPECT_GE(child.bytes_read(), 300000U);
}

TEST(Process, GetsTermWhenItsParentDies) {
  const test::TemporaryFolder folder;
  const auto ready = folder.path() / "ready";
  const auto ended = folder.path() / "ended";
  const pid_t parent = fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    [[maybe_unused]] const auto child =
        Child::start(shell("trap 'touch " + ended.string() + "; exit' TERM; echo $$ > " +
                           ready.string() + "; while :; do sleep 0.05; done"));
    while (true) pause();
  }
  EXPECT_TRUE(test::eventually([&] { return std::filesystem::exists(ready); }));
  kill(parent, SIGKILL);
  EXPECT_EQ(waitpid(parent, nullptr, 0), parent);
  EXPECT_TRUE(test::eventually([&] { return std::filesystem::exists(ended); }));
}

TEST(FindProgram, SearchesOnlyAbsoluteFoldersOfThePath) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "tool", "#!/bin/sh\n");
  const char* const path = std::getenv("PATH");
  ASSERT_NE(path, nullptr);
  const std::string before = path;
  setenv("PATH", (".:" + folder.path().string()).c_str(), 1);
  const auto not_executable = find_program("tool");
  std::filesystem::permissions(folder.path() / "tool", std::filesystem::perms(0755));
  const auto found = find_program("tool");
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  setenv("PATH", ".:", 1);
  const auto relative = find_program("tool");
  std::filesystem::current_path(here);
  setenv("PATH", before.c_str(), 1);
  EXPECT_FALSE(not_executable);
  EXPECT_EQ(found, folder.path() / "tool");
  EXPECT_FALSE(relative);
}

}  // namespace
}  // namespace libsync
