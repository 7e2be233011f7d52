#pragma once

// The notes of a host for its own `status`: the payload that it published last, and its faults.
//
//   <repo>/.libsync/notes/            mode 0700
//     published                       the last payload (core/published_note.h)
//     fault-tick                      the last failure of a tick
//     fault-feed, fault-hook          there as long as the fault lasts
//
// The time of a note is that of its file. A note that the disk does not take is lost, and that
// harms nothing: no program decides anything by it.

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "libsync/core/published_note.h"

namespace libsync {

enum class NotedFault {
  tick,  ///< Ended a tick or an attempt.
  feed,  ///< This host's own daemon does not serve it.
  hook,  ///< --after-publish failed.
};

/// A note, and when it was made by the wall clock.
template <typename Value>
struct Noted {
  Value value;
  std::chrono::system_clock::time_point at;
};

/// Any thread may use it, one at a time. Reading throws Failure (local) if this user may not.
class Notes {
 public:
  /// `state_folder` is `<repo>/.libsync`. Touches no disk.
  explicit Notes(const std::filesystem::path& state_folder) : folder_(state_folder / "notes") {}

  /// Replaces the last payload. A second note of one run without a source changes nothing: the
  /// first one says from whom the payload came.
  void publish(const PublishedNote& note) const;

  /// Notes a fault. If it is on record already in the same words, its time stays.
  void keep(NotedFault fault, std::string_view reason) const;

  /// Notes the failure of a tick, with the time of now.
  void renew(NotedFault fault, std::string_view reason) const;

  /// The fault is over.
  void clear(NotedFault fault) const;

  [[nodiscard]] std::optional<Noted<PublishedNote>> published() const;
  [[nodiscard]] std::optional<Noted<std::string>> fault(NotedFault fault) const;

 private:
  void write(const std::filesystem::path& path, std::string_view text) const;
  [[nodiscard]] std::filesystem::path path_of(NotedFault fault) const;

  std::filesystem::path folder_;
};

}  // namespace libsync
