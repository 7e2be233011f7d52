// The accounts of a run, and its end, in the memory of a test.

#include <algorithm>
#include <utility>

#include "fake_shared_state.h"

namespace libsync::test {
namespace {

// Adds what a host said of itself to what the shared state knows of it.
void merge(const HostAccount& given, HostAccount& known) {
  const auto former = known;
  known = given;
  known.is_expected = former.is_expected;
  known.placed = former.placed;
  known.published = former.published;
  known.error = former.error;
}

}  // namespace

void FakeSharedState::give_account(const RunId& run, const Address& host,
                                   const OwnAccount& account) {
  const bool is_late = !is_current(run);
  if (is_late && (!has_functions || !last_account_ || last_account_->run != run)) return;
  auto& accounts = is_late ? last_accounts_ : accounts_;
  const auto begun = is_late ? last_account_->begun_ms : run_->info.begun_ms;
  const auto moment = [&](Duration ago) {
    return since(begun + static_cast<std::uint64_t>(ago.count()), now_ms());
  };
  const auto earlier = [](std::optional<Duration>& known, Duration other) {
    known = std::min(known.value_or(other), other);
  };
  auto& given = accounts.try_emplace(host, HostAccount{.address = host}).first->second;
  given.has_come = true;
  given.has_account = true;
  earlier(given.joined, moment(account.joined_ago));
  if (account.first_byte_ago) earlier(given.first_byte, moment(*account.first_byte_ago));
  given.last_byte.reset();
  given.in_place.reset();
  if (account.last_byte_ago) given.last_byte = moment(*account.last_byte_ago);
  if (account.in_place_ago) given.in_place = moment(*account.in_place_ago);
  given.pulls = account.pulls;
  given.shares = account.shares;
  given.reason = account.reason;
}

void FakeSharedState::keep_account() {
  const auto& info = run_->info;
  RunAccount account{.run = info.id,
                     .path = last_->path,
                     .outcome = last_->outcome,
                     .reason = last_->reason,
                     .cut = info.cut,
                     .begun_ms = info.begun_ms,
                     .took = last_->took,
                     .finished = last_->finished,
                     .expected = last_->expected,
                     .has_trees = info.has_trees,
                     .origin = info.origin};
  std::map<Address, HostAccount> hosts;
  const auto host = [&](const Address& address) -> HostAccount& {
    return hosts.try_emplace(address, HostAccount{.address = address}).first->second;
  };
  auto names = run_->expected_hosts;
  if (!run_->is_named) names.insert(run_->other_hosts.begin(), run_->other_hosts.end());
  for (const auto& name : names) {
    if (const auto address = Address::parse(name)) host(*address).is_expected = true;
  }
  if (!run_->is_named) {
    for (const auto& [address, given] : accounts_) host(address).is_expected = true;
  }
  for (const auto& [address, known] : run_->hosts) {
    if (!hosts.contains(address) && !known.finished_ms) continue;
    auto& one = host(address);
    one.has_come = known.in_place > 0 || known.finished_ms || !known.error.empty();
    one.placed = known.in_place;
    one.error = known.error;
    if (known.finished_ms) one.published = since(info.begun_ms, *known.finished_ms);
  }
  for (const auto& [address, one] : hosts) account.hosts.push_back(one);
  last_account_ = account;
  last_accounts_ = std::exchange(accounts_, {});
  are_last_named_ = run_->is_named;
}

std::optional<RunAccount> FakeSharedState::last_account() const {
  if (!has_functions || (last_ && last_->outcome == "refused")) return std::nullopt;
  auto account = last_account_;
  if (!account) return std::nullopt;
  std::map<Address, HostAccount> hosts;
  for (const auto& known : account->hosts) hosts.emplace(known.address, known);
  for (const auto& [address, given] : last_accounts_) {
    account->accounts += given.has_account ? 1 : 0;
    account->total.wire_bytes += given.pulls.wire_bytes;
    account->total.pieces += given.pulls.pieces;
    account->total.failed += given.pulls.failed;
    account->total.twice += given.pulls.twice;
    if (!are_last_named_) {
      hosts.try_emplace(address, HostAccount{.address = address, .is_expected = true});
    }
    if (const auto known = hosts.find(address); known != hosts.end()) merge(given, known->second);
  }
  account->hosts.clear();
  for (const auto& [address, host] : hosts) account->hosts.push_back(host);
  return account;
}

}  // namespace libsync::test
