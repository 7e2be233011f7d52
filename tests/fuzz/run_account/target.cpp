// The account of a run: a file that a crash may have cut, and values in Redis. Minions write these.

#include "target.h"

#include "libsync/core/run_account.h"
#include "libsync/core/run_bound.h"
#include "redis/account_answer.h"

namespace libsync::fuzz {
namespace {

void check_shares(const std::vector<Share>& shares) {
  for (const auto& share : shares) require(share.pieces <= kMaxPieces, "a run has few pieces");
  require(decode_shares(encode(shares)) == shares, "shares survive encode()");
}

void check_time(const std::optional<Duration>& time) {
  require(!time || time->count() >= 0, "no time runs backwards");
}

void check_host(const HostAccount& host) {
  for (const auto& time :
       {host.joined, host.first_byte, host.last_byte, host.in_place, host.published}) {
    check_time(time);
  }
  require(host.placed <= kMaxPieces, "a run has few pieces");
  check_shares(host.shares);
}

// People read this of every account.
void check_bound(const RunAccount& account) {
  const auto fastest = fastest_link(account);
  require(!fastest || *fastest >= 1, "a link has a rate");
  if (fastest) {
    require(bound_of(account.cut, account.expected, *fastest).count() >= 0, "a bound is a time");
    require(ideal_curve(account.cut, account.expected, *fastest).size() <= 64, "a curve is short");
  }
  std::size_t before = 0;
  for (const auto& [at, hosts] : curve_of(account)) {
    require(hosts > before, "a curve goes up");
    before = hosts;
  }
  for (const auto& host : account.hosts) {
    require(is_plain_line(why_slow(host, account, fastest)), "a cause is a line");
  }
}

void check_file(std::string_view input) {
  const auto account = decode_run_account(input);
  if (!account) return;
  require(account->cut.piece_bytes > 0 && account->cut.pieces() <= kMaxPieces,
          "a run has few pieces");
  require(account->took.count() >= 0, "no time runs backwards");
  for (const auto& host : account->hosts) check_host(host);
  const auto text = encode(*account);
  require(text.size() <= kRunAccountBytes, "an account has a limit");
  require(decode_run_account(text) == account, "an account survives encode()");
  // Without its end of line, the text is still whole.
  const auto cut = std::string_view(text).substr(0, input.size() % (text.size() - 1));
  require(!decode_run_account(cut), "a cut account is none");
  check_bound(*account);
}

void check_values(std::string_view input) {
  RunAccount account{.run = RunId::parse("0123456789abcdef0123456789abcdef").value()};
  HostAccount host{.address = Address::parse("10.0.0.1").value()};
  read_own_account(input, host);
  require(host.has_come, "a host with a value has come");
  check_host(host);
  check_time(read_moment(input));
  const auto space = std::min(input.find(' '), input.size());
  const auto value = input.substr(std::min(space + 1, input.size()));
  read_total(input.substr(0, space), value, account);
  account.hosts.push_back(std::move(host));
  check_bound(account);
  account.hosts.front().published = Duration(1);
  check_bound(account);
  auto kept = decode_run_account(encode(account));
  require(kept.has_value(), "an account from Redis can be kept");
  // A file keeps less of a long text.
  if (input.size() <= 4096) require(kept == account, "all of it is kept");
}

}  // namespace

void check(std::string_view input) {
  check_shares(decode_shares(input));
  check_file(input);
  check_values(input);
}

}  // namespace libsync::fuzz
