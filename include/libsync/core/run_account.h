#pragma once

// The account of a run: what is known of it, host by host, when it has ended.
//
// A host gives its own account once, after it has published or failed. Redis keeps these accounts
// until the next run ends. The master writes an account to a file (master/run_files.h), and
// `sync-master report` shows it. No program decides anything by it.
//
// All times of a run count from its begin, by the clock of Redis. Text from Redis and from files is
// hostile until it is checked. Free text stays as it came: the caller escapes it where it prints.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libsync/core/address.h"
#include "libsync/core/pieces.h"
#include "libsync/core/run_ids.h"
#include "libsync/core/time.h"

namespace libsync {

/// The pieces that a host got from one source.
struct Share {
  Address source;
  PieceNumber pieces = 0;

  friend bool operator==(const Share&, const Share&) = default;
};

/// How the pulls of one host went.
struct Pulls {
  std::uint64_t wire_bytes = 0;  ///< Bytes that it received.
  PieceNumber pieces = 0;        ///< Good pieces among them.
  std::size_t failed = 0;        ///< Pulls that failed. A busy source is no failure.
  std::size_t twice = 0;         ///< Pulls that were ended because a piece came from elsewhere.
  std::uint64_t bytes_per_second = 0;  ///< The rate while pieces came; 0: not measured.

  friend bool operator==(const Pulls&, const Pulls&) = default;
};

/// The part of a host in a run, as it gives it to Redis. Spans end at the call, so that the clock
/// of the host counts for nothing.
struct OwnAccount {
  Duration joined_ago{};
  std::optional<Duration> first_byte_ago;
  std::optional<Duration> last_byte_ago;
  std::optional<Duration> in_place_ago;  ///< Since every piece was verified and in its place.
  Pulls pulls;
  std::vector<Share> shares;  ///< The largest first. Redis keeps some ten.
  std::string reason;         ///< Why the last pull failed; empty if none has.
};

/// The part of a host in a run that has ended.
struct HostAccount {
  Address address;
  bool is_expected = false;
  bool has_come = false;     ///< Redis heard of the host in this run.
  bool has_account = false;  ///< It gave its account; else most of the rest is not known.
  PieceNumber placed = 0;    ///< Pieces in place when the host last reported.
  std::optional<Duration> joined{};
  std::optional<Duration> first_byte{};
  std::optional<Duration> last_byte{};
  std::optional<Duration> in_place{};
  std::optional<Duration> published{};
  Pulls pulls{};
  std::vector<Share> shares{};
  std::string error{};   ///< The last error of the host; empty if none.
  std::string reason{};  ///< As in OwnAccount.

  friend bool operator==(const HostAccount&, const HostAccount&) = default;
};

struct RunAccount {
  RunId run;
  std::string path{};
  std::string outcome{};  ///< As in LastStatus.
  std::string reason{};   ///< Empty if there is none.
  Cut cut{};
  std::uint64_t begun_ms = 0;  ///< Since 1970, by the clock of Redis.
  Duration took{};
  std::size_t finished = 0;
  std::size_t expected = 0;
  bool has_trees = false;
  std::optional<Address> origin{};
  std::size_t accounts = 0;          ///< Hosts that gave their account.
  Pulls total{};                     ///< The sums over these.
  std::size_t left_out = 0;          ///< Hosts that `hosts` lacks, because there are too many.
  std::vector<HostAccount> hosts{};  ///< Sorted by address.

  friend bool operator==(const RunAccount&, const RunAccount&) = default;
};

/// Most bytes of an account as text. Ten of them are 50 MB.
inline constexpr std::size_t kRunAccountBytes = 5'000'000;

/// Hosts that remain in an account that would be longer: the slowest ones.
inline constexpr std::size_t kSlowestKept = 1000;

/// `10.0.0.1=52,10.0.0.7=3`.
[[nodiscard]] std::string encode(const std::vector<Share>& shares);

/// Leaves out what is no share: a minion may have written anything.
[[nodiscard]] std::vector<Share> decode_shares(std::string_view text);

/// The hosts of an account that took longest, those that have not finished first.
[[nodiscard]] std::vector<const HostAccount*> slowest_first(const RunAccount& account);

/// One line for each key and host. The last line says `end`, so a truncated text lacks it. No more
/// than kRunAccountBytes: an account that would be longer keeps its kSlowestKept slowest hosts.
[[nodiscard]] std::string encode(const RunAccount& account);

/// Nothing, unless the text is complete, and each line has the form that encode() writes.
[[nodiscard]] std::optional<RunAccount> decode_run_account(std::string_view text);

}  // namespace libsync
