#pragma once

// The accounts of the runs that ended last, as files of the master's host:
//
//   <repo>/.libsync/runs/             mode 0700
//     <begun_ms>-<run id>             mode 0600; the text of core/run_account.h
//     <begun_ms>-<run id>.new         left by a tick that died while it wrote
//
// `sync-master report` reads them, without Redis. No program decides anything by them. A file is
// hostile until decode_run_account() has read it. Neither act passes through a symlink, and names
// of another form are left alone.
//
// All functions throw Failure (local) when the disk fails.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "libsync/core/run_account.h"
#include "libsync/core/run_ids.h"

namespace libsync {

/// Files that remain. Each has kRunAccountBytes at most, and so all have 50 MB.
inline constexpr std::size_t kMostRunFiles = 10;

/// One file, by its name. The order of files is that in which their runs began.
struct RunFile {
  std::uint64_t begun_ms = 0;
  RunId run;

  /// Nothing, unless it is the name of such a file.
  [[nodiscard]] static std::optional<RunFile> parse(std::string_view name);
  [[nodiscard]] std::string name() const;

  friend auto operator<=>(const RunFile&, const RunFile&) = default;
};

/// The files of one master. Reading needs no lock; the caller of write() holds the TickLock.
class RunFiles {
 public:
  /// Touches no disk.
  explicit RunFiles(std::filesystem::path repo);

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

  /// The files that are there, the latest first.
  [[nodiscard]] std::vector<RunFile> all() const;

  /// The account in a file; nothing if the file is damaged or not there.
  [[nodiscard]] std::optional<RunAccount> read(const RunFile& file) const;

  /// Writes an account durably: after a crash its file has all of it, or is as it was. Deletes
  /// the oldest files first, and files that are too long, so that there are never too many. Does
  /// nothing if the file is there with as many accounts of hosts.
  void write(const RunAccount& account) const;

 private:
  void make_room(const RunFile& wanted) const;
  [[nodiscard]] std::optional<std::string> text_of(const RunFile& file) const;

  std::filesystem::path repo_;
  std::filesystem::path folder_;
};

}  // namespace libsync
