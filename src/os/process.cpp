#include "os/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "os/descriptor.h"
#include "os/limits.h"

namespace libsync {
namespace {

constexpr std::size_t kErrorsKept = 4096;
// Longest line of output that is kept. rsync prints short ones. A longer one is dropped.
constexpr std::size_t kLongestLine = std::size_t{64} << 10U;
// Most bytes that one call reads, so that a child that never stops cannot hold up the caller.
constexpr std::size_t kReadAtOnce = std::size_t{1} << 20U;

struct Pipe {
  Descriptor read_end;
  Descriptor write_end;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw_disk_failure("make", "a pipe");
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

// A file in memory with this content, positioned at its beginning. A pipe would fill up while the
// child does not read.
Descriptor make_input(const std::string& content) {
  Descriptor file(memfd_create("input", MFD_CLOEXEC));
  if (!file ||
      write(file.number(), content.data(), content.size()) !=
          static_cast<ssize_t>(content.size()) ||
      lseek(file.number(), 0, SEEK_SET) != 0) {
    throw_disk_failure("make", "a child's input");
  }
  return file;
}

// The texts as exec(2) expects them; they must outlive the result.
std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (const auto& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

// The limit that the child sets for itself; nothing for no limit.
std::optional<rlimit> limit_of(const std::optional<std::uint64_t>& bytes) {
  rlimit limit{};
  if (!bytes || getrlimit(RLIMIT_FSIZE, &limit) != 0) return std::nullopt;
  if (limit.rlim_max < *bytes) {
    throw Failure(ExitStatus::local, Remedy::operator_acts,
                  fmt::format("this process may write no file of more than {} bytes, but needs "
                              "{}: raise its limit (ulimit -H -f, limits.conf)",
                              limit.rlim_max, *bytes));
  }
  limit.rlim_cur = *bytes;
  return limit;
}

// Runs between vfork and exec, in the memory of the parent. So it calls only functions that
// signal-safety(7) allows, and has a frame of its own: it writes to no variable of the parent. The
// kernel closes `report` on success; on failure it carries the errno.
[[noreturn, gnu::noinline]] void become(const char* program, char* const* arguments,
                                        char* const* environment, int input, int output, int errors,
                                        int inherited, int report, const unsigned* mask,
                                        const rlimit* largest_file, const rlimit* open_files,
                                        pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  signal(SIGXFSZ, largest_file == nullptr ? SIG_DFL : SIG_IGN);
  if (mask != nullptr) umask(*mask);
  // Descriptor 3 must be free for `inherited`.
  report = fcntl(report, F_DUPFD_CLOEXEC, 4);
  // If the parent died before prctl, its signal never comes.
  const bool ready = getppid() == parent &&
                     (largest_file == nullptr || setrlimit(RLIMIT_FSIZE, largest_file) == 0) &&
                     (open_files == nullptr || setrlimit(RLIMIT_NOFILE, open_files) == 0) &&
                     chdir("/") == 0 && dup2(input, 0) == 0 && dup2(output, 1) == 1 &&
                     dup2(errors, 2) == 2 && (inherited < 0 || dup2(inherited, 3) == 3) &&
                     close_range(inherited < 0 ? 3 : 4, ~0U, CLOSE_RANGE_CLOEXEC) == 0 &&
                     (inherited != 3 || fcntl(3, F_SETFD, 0) == 0);
  if (ready) execve(program, arguments, environment);
  const int error = errno;
  static_cast<void>(!write(report, &error, sizeof error));
  _exit(127);
}

// Appends available bytes, until `into` has kReadAtOnce. False at the end of the stream.
bool read_available(const Descriptor& from, std::string& into) {
  std::array<char, 4096> buffer{};
  while (into.size() < kReadAtOnce) {
    const auto got = read(from.number(), buffer.data(), buffer.size());
    if (got > 0) {
      into.append(buffer.data(), static_cast<std::size_t>(got));
    } else {
      return got < 0 && (errno == EAGAIN || errno == EINTR);
    }
  }
  return true;
}

// Drops all but the last bytes of what a child wrote to its standard error.
void shorten(std::string& errors) {
  if (errors.size() <= kErrorsKept) return;
  // Half a message may have another meaning than the whole: a cut one is dropped, unless it is the
  // last.
  const auto cut = errors.size() - kErrorsKept;
  const auto end = errors.find('\n', cut - 1);
  errors.erase(0, end >= errors.size() - 1 ? cut : end + 1);
}

// Bytes that one process has read; 0 if the kernel does not say.
std::uint64_t read_by(int pid) {
  std::ifstream file(fmt::format("/proc/{}/io", pid));
  std::string key;
  std::uint64_t value = 0;
  return file >> key >> value && key == "rchar:" ? value : 0;
}

}  // namespace

Child Child::start(const ChildSpec& spec) {
  std::vector<std::string> words{spec.program.string()};
  words.insert(words.end(), spec.arguments.begin(), spec.arguments.end());
  const auto arguments = pointers(words);
  const auto environment = pointers(spec.environment);
  const auto input = make_input(spec.input);
  auto output = make_pipe();
  auto errors = make_pipe();
  auto report = make_pipe();
  const auto largest_file = limit_of(spec.largest_file);
  const bool is_one_stream = spec.streams == Streams::one;
  const pid_t parent = getpid();
  // vfork, because fork would copy the page tables and make both sides pay for touched pages: a
  // start would cost several times as much: ./tests/bench/loopback. No signal handler can run in
  // the child, because this process has none (stop_signal.h).
  // NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork)
  const pid_t pid = vfork();
  if (pid < 0) throw_disk_failure("start", spec.program);
  if (pid == 0) {
    // NOLINTNEXTLINE(clang-analyzer-unix.Vfork)
    become(words.front().c_str(), arguments.data(), environment.data(), input.number(),
           (is_one_stream ? errors : output).write_end.number(), errors.write_end.number(),
           spec.inherited, report.write_end.number(), spec.umask ? &*spec.umask : nullptr,
           largest_file ? &*largest_file : nullptr, former_open_files(), parent);
  }
  Child child;
  child.pid_ = pid;
  report.write_end = Descriptor();
  int error = 0;
  if (read(report.read_end.number(), &error, sizeof error) == sizeof error) {
    throw Failure(ExitStatus::no_source, Remedy::operator_acts,
                  fmt::format("cannot start '{}': {}: install it, or correct PATH",
                              escaped(spec.program.string()), std::strerror(error)));
  }
  // glibc 2.36 declares pidfd_open without C linkage.
  child.handle_ = Descriptor(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!child.handle_) throw_disk_failure("watch", spec.program);
  if (!is_one_stream) child.output_ = std::move(output.read_end);
  child.error_output_ = std::move(errors.read_end);
  child.leftovers_ = spec.leftovers;
  for (const auto* const end : {&child.output_, &child.error_output_}) {
    if (*end) fcntl(end->number(), F_SETFL, O_NONBLOCK);
  }
  return child;
}

Child::~Child() {
  if (pid_ < 0) return;
  kill();
  waitpid(pid_, nullptr, 0);
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      handle_(std::move(other.handle_)),
      output_(std::move(other.output_)),
      error_output_(std::move(other.error_output_)),
      partial_line_(std::move(other.partial_line_)),
      is_line_cut_(other.is_line_cut_),
      errors_(std::move(other.errors_)),
      leftovers_(other.leftovers_) {}

void Child::append_descriptors(std::vector<int>& descriptors) const {
  for (const auto* const end : {&output_, &error_output_, &handle_}) {
    if (*end) descriptors.push_back(end->number());
  }
}

std::vector<std::string> Child::lines() {
  std::vector<std::string> all;
  if (!output_) return all;
  if (!read_available(output_, partial_line_)) output_ = Descriptor();
  std::size_t start = 0;
  for (auto end = partial_line_.find('\n'); end != std::string::npos;
       end = partial_line_.find('\n', start)) {
    if (!is_line_cut_ && end - start <= kLongestLine) {
      all.push_back(partial_line_.substr(start, end - start));
    }
    is_line_cut_ = false;
    start = end + 1;
  }
  partial_line_.erase(0, start);
  if (partial_line_.size() > kLongestLine) {
    is_line_cut_ = true;
    partial_line_.clear();
  }
  return all;
}

const std::string& Child::errors() {
  if (error_output_ && !read_available(error_output_, errors_)) error_output_ = Descriptor();
  shorten(errors_);
  return errors_;
}

Descriptor Child::release_errors() {
  if (error_output_) fcntl(error_output_.number(), F_SETFL, 0);
  return std::move(error_output_);
}

std::optional<ChildEnd> Child::ended() {
  siginfo_t info{};
  // WNOWAIT keeps the child's id, which is also that of its group, from another process until the
  // group has got its KILL.
  if (waitid(P_PIDFD, static_cast<id_t>(handle_.number()), &info, WEXITED | WNOHANG | WNOWAIT) !=
          0 ||
      info.si_pid == 0) {
    return std::nullopt;
  }
  if (leftovers_ == Leftovers::are_killed) kill();
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
  handle_ = Descriptor();
  if (info.si_code == CLD_EXITED) return Exited{info.si_status};
  return Signalled{info.si_status};
}

void Child::terminate() const {
  if (pid_ > 0) ::kill(-pid_, SIGTERM);
}

void Child::kill() const {
  if (pid_ > 0) ::kill(-pid_, SIGKILL);
}

std::uint64_t Child::bytes_read() const {
  auto total = read_by(pid_);
  std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", pid_));
  for (int child = 0; children >> child;) total += read_by(child);
  return total;
}

std::optional<std::filesystem::path> find_program(const std::string& name) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "/usr/bin:/bin" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (!folder.starts_with('/')) continue;
    const auto program = std::filesystem::path(folder) / name;
    if (access(program.c_str(), X_OK) == 0) return program;
  }
  return std::nullopt;
}

}  // namespace libsync
