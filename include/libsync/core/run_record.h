#pragma once

// The run record: the file in a spool that says whose spool it is.
//
// It is written durably before anything else is put into the spool. Only its text form is here;
// store/spool.h reads and writes the file.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libsync/core/run_ids.h"

namespace libsync {

enum class Role { master, minion };

/// How a run stands, for its spool.
enum class Standing {
  prepared,     ///< Not begun yet: a spool of it counts for nothing.
  running,      ///< The spool is needed.
  ended,        ///< The run ended with every host: the spool may go.
  ended_short,  ///< The run ended without some: the origin keeps the spool until the next run.
};

struct RunRecord {
  Role role = Role::minion;
  std::string prefix;  ///< Of the Redis keys: a spool of another fleet is left alone.
  RunId run;
  std::string task;
  /// Master: fingerprint_of with piece size zero, the same however the payload is cut.
  Fingerprint content;
  std::uint64_t piece_bytes = 0;
  std::uint64_t begun_ms = 0;  ///< Minion: when the run began, by the clock of Redis.
  Standing standing = Standing::running;
  std::size_t expected_count = 0;           ///< Master: `--minions`; 0 if hosts are named.
  std::vector<std::string> expected_hosts;  ///< Master: who was expected when the run began.
};

/// Lines of a key and a value, the last one being `content`.
[[nodiscard]] std::string encode(const RunRecord& record);

/// Nothing, unless encode() of some version with the same keys wrote the text, and wrote all of it.
[[nodiscard]] std::optional<RunRecord> decode_run_record(Role role, std::string_view text);

}  // namespace libsync
