#pragma once

// The run record: the file in a spool that says whose spool it is.
//
// A host writes it to the disk before anything else of the spool. Only the text form is here;
// store/spool.h reads and writes the file.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libsync/core/digest.h"
#include "libsync/core/run_ids.h"
#include "libsync/core/task.h"

namespace libsync {

enum class Role { master, minion };

/// The state of the run that a spool belongs to.
enum class Standing {
  prepared,     ///< The run has not begun, so the spool counts for nothing.
  running,      ///< The run needs the spool.
  ended,        ///< The run ended with every host: the spool may be deleted.
  ended_short,  ///< The run ended without some: the origin keeps the spool until the next run.
};

struct RunRecord {
  Role role = Role::minion;
  std::string prefix;  ///< Prefix of the Redis keys. The spool of another prefix is left alone.
  RunId run;
  TaskPath task;
  /// Master: the fingerprint for piece size 0, which is the same for every cut of the payload.
  Fingerprint content;
  std::uint64_t piece_bytes = 1;  ///< Never zero.
  std::uint64_t begun_ms = 0;     ///< Minion: when the run began, by the clock of Redis.
  Standing standing = Standing::running;
  std::optional<Digest> manifest;           ///< Master: the digest of the announced manifest.
  std::size_t expected_count = 0;           ///< Master: `--minions`; 0 if hosts are named.
  std::vector<std::string> expected_hosts;  ///< Master: the expected hosts when the run began.
};

/// One line for each key and value. `content` is the last one, so a truncated text lacks it.
[[nodiscard]] std::string encode(const RunRecord& record);

/// How decoding treats a key that this version does not know. Another version wrote it.
enum class UnknownKeys { are_malformed, are_skipped };

/// Nothing, unless the text is complete and has only keys that this version knows.
/// Values are checked here: nobody parses them again. Nobody may resume a run from a record with
/// skipped keys, but its run and prefix count.
[[nodiscard]] std::optional<RunRecord> decode_run_record(
    Role role, std::string_view text, UnknownKeys unknown = UnknownKeys::are_malformed);

}  // namespace libsync
