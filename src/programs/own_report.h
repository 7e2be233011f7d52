#pragma once

// The part of `sync-minion status` that comes from the disk of this host. It needs no Redis.
//
// Nothing here changes the disk: a tick may be at work, and another user may ask.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "libsync/clock.h"
#include "libsync/observer.h"
#include "store/notes.h"
#include "store/repo_facts.h"

namespace libsync {

struct OwnFacts {
  std::string unreadable{};  ///< Why the state folder could not be read; empty if it was.
  TickFacts tick{};
  std::optional<Noted<PublishedNote>> published{};
  bool is_there = false;  ///< The published payload still has its place.
  std::optional<Noted<std::string>> tick_fault{};
  std::optional<Noted<std::string>> feed_fault{};
  std::optional<Noted<std::string>> hook_fault{};
  std::optional<std::string> hook_owed{};  ///< The name of the payload.
  std::uint64_t free_bytes = 0;
  std::filesystem::path repo{};
  std::chrono::system_clock::time_point now{};
};

[[nodiscard]] OwnFacts own_facts(const std::filesystem::path& repo, const Clock& clock);

/// Leaves out of a snapshot the faults of this host that own_text() shows. Redis may have cut them.
void leave_out_own(Status& status, const Address& self, const OwnFacts& facts);

/// Lines for a terminal.
[[nodiscard]] std::string own_text(const OwnFacts& facts);

/// The same, as the text of one JSON object: the value of `here`.
[[nodiscard]] std::string own_json(const OwnFacts& facts);

}  // namespace libsync
