#pragma once

// Reads the account of the last run: sync:last, and the values of accounts.lua.
//
// Minions may have written anything. So a wrong number counts as zero or as unknown, an absurd one
// as unknown, and no value is a Failure.

#include <optional>
#include <string_view>

#include "libsync/core/run_account.h"
#include "redis/answer.h"

namespace libsync {

/// The account without its hosts and sums, from sync:last. Nothing if no run has ended, or if a
/// task was refused since.
[[nodiscard]] std::optional<RunAccount> read_last_account(const AnswerFields& fields);

/// Adds one value of sync:last_accounts. Before a host gives its account, that is the time of
/// joining alone.
void read_own_account(std::string_view value, HostAccount& host);

/// Adds one field of sync:last_totals.
void read_total(std::string_view field, std::string_view value, RunAccount& account);

/// A time of the run, in ms since its begin. Nothing if the text is no number, or absurd.
[[nodiscard]] std::optional<Duration> read_moment(std::string_view text);

}  // namespace libsync
