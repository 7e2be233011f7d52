#include "redis/account_answer.h"

#include <algorithm>
#include <string>
#include <utility>

namespace libsync {
namespace {

constexpr std::uint64_t kLongestMs = 31'536'000'000'000;  // 1,000 years.

template <typename Number>
Number number_or_zero(std::string_view text) {
  return parse_number<Number>(text).value_or(0);
}

// The first word of `text`, which it loses.
std::string_view next_word(std::string_view& text) {
  const auto space = std::min(text.find(' '), text.size());
  const auto word = text.substr(0, space);
  text.remove_prefix(std::min(space + 1, text.size()));
  return word;
}

PieceNumber pieces_or_zero(std::string_view text) {
  return std::min(kMaxPieces, number_or_zero<PieceNumber>(text));
}

}  // namespace

std::optional<Duration> read_moment(std::string_view text) {
  const auto count = parse_number<std::uint64_t>(text);
  if (!count || *count >= kLongestMs) return std::nullopt;
  return Duration(static_cast<std::int64_t>(*count));
}

std::optional<RunAccount> read_last_account(const AnswerFields& fields) {
  const auto run = RunId::parse(fields.text_or_empty("run"));
  auto outcome = fields.text_or_empty("outcome");
  if (!run || outcome.empty() || outcome == "refused") return std::nullopt;
  RunAccount account{.run = *run,
                     .path = fields.text_or_empty("path"),
                     .outcome = std::move(outcome),
                     .reason = fields.text_or_empty("reason")};
  const Cut cut{fields.number_or_zero("bytes"), fields.number_or_zero("piece_bytes")};
  if (is_allowed(cut)) account.cut = cut;
  account.begun_ms = fields.number_or_zero("started");
  account.took = read_moment(fields.text_or_empty("took")).value_or(Duration(0));
  account.finished = fields.number_or_zero("finished");
  account.expected = fields.number_or_zero("expected");
  account.has_trees = fields.number_or_zero("trees") > 0;
  account.origin = Address::parse(fields.text_or_empty("origin"));
  return account;
}

void read_own_account(std::string_view value, HostAccount& host) {
  host.has_come = true;
  host.has_account = value.find(' ') != std::string_view::npos;
  for (auto* const time : {&host.joined, &host.first_byte, &host.last_byte, &host.in_place}) {
    *time = read_moment(next_word(value));
  }
  host.pulls.wire_bytes = number_or_zero<std::uint64_t>(next_word(value));
  host.pulls.pieces = pieces_or_zero(next_word(value));
  host.pulls.failed = number_or_zero<std::size_t>(next_word(value));
  host.pulls.twice = number_or_zero<std::size_t>(next_word(value));
  host.pulls.bytes_per_second = number_or_zero<std::uint64_t>(next_word(value));
  host.shares = decode_shares(next_word(value));
  host.reason = value;
}

void read_total(std::string_view field, std::string_view value, RunAccount& account) {
  if (field == "accounts") account.accounts = number_or_zero<std::size_t>(value);
  if (field == "wire") account.total.wire_bytes = number_or_zero<std::uint64_t>(value);
  if (field == "pieces") account.total.pieces = number_or_zero<PieceNumber>(value);
  if (field == "failed") account.total.failed = number_or_zero<std::size_t>(value);
  if (field == "twice") account.total.twice = number_or_zero<std::size_t>(value);
}

}  // namespace libsync
