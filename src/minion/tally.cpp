#include "minion/tally.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace libsync {
namespace {

// Files that arrive within less do not show a rate: rsync names several of them at once.
constexpr Duration kShortest{200};
constexpr std::size_t kReasonBytes = 100;  // Redis keeps no more.

Duration between(Instant from, Instant to) {
  return std::max(Duration(0), std::chrono::duration_cast<Duration>(to - from));
}

std::uint64_t rate_of(std::uint64_t bytes, Instant from, Instant to) {
  const auto span = std::max(0.001, in_seconds(between(from, to)));
  return static_cast<std::uint64_t>(static_cast<double>(bytes) / span);
}

}  // namespace

bool Tally::started(const Address& source, Instant now) {
  if (!first_pull_) first_pull_ = now;
  return fed_by_.try_emplace(source, 0).second;
}

void Tally::arrived(const FileArrived& file, Instant now) {
  moved(now);
  pulls_.wire_bytes += file.wire_bytes;
  if (first_file_) return;
  first_file_ = now;
  first_file_bytes_ = file.wire_bytes;
}

void Tally::moved(Instant now) {
  if (!first_byte_) first_byte_ = now;
  last_byte_ = now;
}

void Tally::ended(const TransferEnded& end) {
  if (end.end == PullEnd::good || end.end == PullEnd::busy) return;
  ++pulls_.failed;
  reason_ = end.detail.substr(0, kReasonBytes);
}

void Tally::found_bad(std::optional<PieceNumber> piece) {
  ++pulls_.failed;
  reason_ = fmt::format("wrong bytes in {}: check the disk and memory of its source",
                        piece ? piece_name(*piece) : "the manifest");
}

// The rate from the first file on. The time before that holds the wait of the source for its own
// pieces. A download of one file has no other measure than all of its time.
std::uint64_t Tally::bytes_per_second() const {
  if (!first_file_ || pulls_.wire_bytes == 0) return 0;
  if (between(*first_file_, *last_byte_) >= kShortest) {
    return rate_of(pulls_.wire_bytes - first_file_bytes_, *first_file_, *last_byte_);
  }
  return rate_of(pulls_.wire_bytes, first_pull_.value_or(joined_), *last_byte_);
}

OwnAccount Tally::account(std::size_t superseded, Instant now) const {
  const auto ago = [&](const std::optional<Instant>& then) {
    return then ? std::optional(between(*then, now)) : std::nullopt;
  };
  OwnAccount account{.joined_ago = between(joined_, now),
                     .first_byte_ago = ago(first_byte_),
                     .last_byte_ago = ago(last_byte_),
                     .in_place_ago = ago(in_place_),
                     .pulls = pulls_,
                     .shares = {},
                     .reason = reason_};
  account.pulls.twice = superseded;
  account.pulls.bytes_per_second = bytes_per_second();
  for (const auto& [source, pieces] : fed_by_) {
    account.pulls.pieces += pieces;
    if (pieces > 0) account.shares.push_back({source, pieces});
  }
  std::stable_sort(account.shares.begin(), account.shares.end(),
                   [](const Share& one, const Share& other) { return one.pieces > other.pieces; });
  constexpr std::size_t kSharesGiven = 16;  // Redis keeps some ten.
  if (account.shares.size() > kSharesGiven) {
    account.shares.erase(account.shares.begin() + kSharesGiven, account.shares.end());
  }
  return account;
}

}  // namespace libsync
