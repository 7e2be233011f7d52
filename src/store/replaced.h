#pragma once

// The replaced versions of payloads, which stay for readers that use them still.
//
//   <repo>/.libsync/replaced/             mode 0700, so no module of another user can read it
//     <hash of the payload's name>/
//       payload                           the replaced file or folder
//       record                            the run record of the run that replaced it
//       since                             when a tick first saw it, by the wall clock
//
// Publishing moves the new payload to `payload`, and swaps that with the destination. So a death
// before the swap leaves the unpublished payload here, and one after it the replaced version. A
// later tick treats both alike. One version a name is here: the next one makes the former one go.
//
// All functions throw Failure (local) when the disk fails. Any thread may call them, for one name
// one at a time.

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "libsync/core/run_record.h"

namespace libsync {

/// One replaced version.
struct Replaced {
  std::filesystem::path folder;     ///< Has nothing in it that anybody needs but its payload.
  std::optional<RunRecord> record;  ///< Nothing if a death left none.
  std::optional<std::chrono::system_clock::time_point> since;  ///< Nothing: no tick has seen it.
};

class ReplacedVersions {
 public:
  /// `state_folder` is `<repo>/.libsync`. Touches no disk.
  explicit ReplacedVersions(const std::filesystem::path& state_folder)
      : state_folder_(state_folder), top_(state_folder / "replaced") {}

  /// Makes the folder for the replaced version of a payload, and discards the former one of this
  /// name. Returns the free path for the version.
  [[nodiscard]] std::filesystem::path make_way(const std::string& payload_name,
                                               const std::optional<RunRecord>& record) const;

  [[nodiscard]] std::vector<Replaced> all() const;

  /// Notes when a tick has first seen a version.
  static void stamp(const Replaced& version, std::chrono::system_clock::time_point now);

  /// The version vanishes by one rename, and a Sweeper of the minion deletes it.
  void discard(const Replaced& version) const { discard(version.folder); }

 private:
  void discard(const std::filesystem::path& folder) const;

  std::filesystem::path state_folder_;
  std::filesystem::path top_;
};

}  // namespace libsync
