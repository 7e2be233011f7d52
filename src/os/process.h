#pragma once

// Child processes. process.cpp is the only file that starts, watches and ends them.
//
// A child gets an argument vector, never a shell, and exactly the environment of its spec. It
// starts in `/`, because the folder of this process may be replaced. It leads a process group of
// its own. It has the descriptors 0, 1 and 2 and, as 3, one that it inherits.
//
// A child gets TERM when the thread that started it dies, so only the main thread may start one. If
// this process dies at any point, every child that obeys TERM ends.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "os/descriptor.h"
#include "os/files.h"

namespace libsync {

/// The umask of a child that makes files for the module: its group can read them, and no other
/// user can.
inline constexpr unsigned kServedUmask = 027;

/// The results of lines() and errors().
enum class Streams {
  two,  ///< Its standard output and its standard error.
  one,  ///< Both arrive at errors(), in the order in which it writes them.
};

/// The fate of the processes that a child leaves behind in its group.
enum class Leftovers {
  are_killed,
  live_on,  ///< Unless the Child is destroyed before the child has ended.
};

/// The command line and surroundings of a child.
struct ChildSpec {
  std::filesystem::path program;
  std::vector<std::string> arguments;    ///< Without the program's own name.
  std::vector<std::string> environment;  ///< NAME=VALUE.
  std::string input;                     ///< Content of its standard input.
  int inherited = -1;                    ///< Becomes its descriptor 3; -1: none.
  /// Most bytes of a file that the child writes. Beyond it a write fails with EFBIG, not a signal.
  std::optional<std::uint64_t> largest_file = std::nullopt;
  std::optional<unsigned> umask = kServedUmask;  ///< Nothing: that of this process.
  Streams streams = Streams::two;
  Leftovers leftovers = Leftovers::are_killed;
};

struct Exited {
  int code;
};
struct Signalled {
  int signal;
};
using ChildEnd = std::variant<Exited, Signalled>;

/// A running child.
class Child {
 public:
  /// Throws Failure (no_source) if the program cannot be executed, because it is rsync in most
  /// cases. Throws Failure (local) if this process itself may not write `largest_file`.
  static Child start(const ChildSpec& spec);

  /// Kills the group of a child that has not ended, and waits for the child.
  ~Child();
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;

  /// Id of the child, and of the group that it leads. -1 after its end.
  [[nodiscard]] int pid() const { return pid_; }

  /// Appends descriptors that are readable when lines(), errors() or ended() may have news.
  void append_descriptors(std::vector<int>& descriptors) const;

  /// Complete lines of its standard output since the last call, up to a MiB at once. A line of more
  /// than 64 KiB is dropped. Never blocks.
  [[nodiscard]] std::vector<std::string> lines();

  /// The last lines of its standard error so far, at most 4 kB. Never blocks.
  [[nodiscard]] const std::string& errors();

  /// Gives up the pipe of its standard error, which blocks from then on. Empty if no process holds
  /// the other end any more. A writer gets SIGPIPE once it is closed.
  [[nodiscard]] Descriptor release_errors();

  /// Whether no process holds an end of its output any more, as far as lines() and errors() have
  /// read.
  [[nodiscard]] bool is_silent() const { return !output_ && !error_output_; }

  /// The end of the child; nothing while it runs. Kills the rest of its group, unless that lives
  /// on. Never blocks.
  [[nodiscard]] std::optional<ChildEnd> ended();

  void terminate() const;  ///< Sends TERM to its group.
  void kill() const;       ///< Sends KILL to its group.

  /// Bytes that the child and its children have read so far, from files and sockets. While this
  /// number stays the same, nothing moves.
  [[nodiscard]] std::uint64_t bytes_read() const;

 private:
  Child() = default;

  int pid_ = -1;       // -1 after wait().
  Descriptor handle_;  // The pidfd.
  Descriptor output_;
  Descriptor error_output_;
  std::string partial_line_;
  bool is_line_cut_ = false;  // The beginning of the line was dropped.
  std::string errors_;
  Leftovers leftovers_ = Leftovers::are_killed;
};

/// The program that the PATH of this process names; nothing if there is none. Relative folders in
/// PATH do not count.
[[nodiscard]] std::optional<std::filesystem::path> find_program(const std::string& name);

}  // namespace libsync
