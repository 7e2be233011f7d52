#pragma once

// Child processes. process.cpp is the only file that starts, watches and ends them.
//
// A child is started from an argument vector, never through a shell; in a process group of its own;
// with exactly the environment that it is given; with no descriptor but 0, 1, 2 and, as 3, one that
// it is to inherit. It gets TERM when the thread that started it dies, so children are started from
// the main thread only. Death of this process at any point leaves no child behind that does not
// obey TERM.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "os/descriptor.h"
#include "os/files.h"

namespace libsync {

struct ChildSpec {
  std::filesystem::path program;
  std::vector<std::string> arguments;  ///< Without the program's own name.
  std::vector<std::string> environment;
  std::string input;   ///< What it reads from its standard input.
  int inherited = -1;  ///< Becomes its descriptor 3.
  /// No file can grow beyond this: what would fails with EFBIG, and no signal.
  std::optional<std::uint64_t> largest_file = std::nullopt;
};

struct Exited {
  int code;
};
struct Signalled {
  int signal;
};
using ChildEnd = std::variant<Exited, Signalled>;

class Child {
 public:
  /// Throws Failure (no_source, since rsync is what we start) if the program cannot be executed;
  /// (local) if this process may not make files of `largest_file` itself.
  static Child start(const ChildSpec& spec);

  /// Kills the group of a child that has not ended, and waits for it.
  ~Child();
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;

  /// Its process, and the group that it leads.
  [[nodiscard]] int pid() const { return pid_; }

  /// Readable when lines(), errors() or ended() may have news.
  void append_descriptors(std::vector<int>& descriptors) const;

  /// Complete lines of its standard output since the last call. Never blocks.
  [[nodiscard]] std::vector<std::string> lines();

  /// The last 4 kB of its standard error so far.
  [[nodiscard]] const std::string& errors();

  /// How it ended, once it has; whatever else was in its group is then gone, too. Never blocks.
  [[nodiscard]] std::optional<ChildEnd> ended();

  void terminate() const;  ///< TERM to its group.
  void kill() const;       ///< KILL to its group.

  /// Bytes that it and its children have read so far, from files and sockets: if this stands still,
  /// nothing moves.
  [[nodiscard]] std::uint64_t bytes_read() const;

 private:
  Child() = default;

  int pid_ = -1;  // -1 once it has been reaped.
  Descriptor handle_;
  Descriptor output_;
  Descriptor error_output_;
  std::string partial_line_;
  std::string errors_;
};

/// The program that the PATH of this process finds; nothing if there is none.
[[nodiscard]] std::optional<std::filesystem::path> find_program(const std::string& name);

}  // namespace libsync
