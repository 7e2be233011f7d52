// The account of the run that ended last: sync:last, and the keys of that run that outlive it.

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "libsync/core/failure.h"
#include "redis/account_answer.h"
#include "redis/answer.h"
#include "redis/coordinator.h"

namespace libsync {

bool RedisCoordinator::list_accounts(const std::string& run, bool are_named, RunAccount& account) {
  std::map<Address, HostAccount> hosts;
  // Lists that name the hosts of the run come first. The others add none, but a host that the
  // master has not admitted yet. With --inventory its hosts alone count, whoever else joined.
  enum class Adds { yes, no };
  const auto collect = [&](const char* name, Adds adds, const auto& note) {
    const auto found = list(run, name);
    if (!found) return false;
    for (const auto& [text, value] : *found) {
      const auto address = Address::parse(text);
      if (!address || (adds == Adds::no && !hosts.contains(*address))) continue;
      note(hosts.try_emplace(*address, HostAccount{.address = *address}).first->second, value);
    }
    return true;
  };
  const auto expect = [](HostAccount& host, const std::string&) { host.is_expected = true; };
  const auto finish = [&](HostAccount& host, const std::string& value) {
    const auto time = parse_number<std::uint64_t>(value).value_or(0);
    host.published = read_moment(std::to_string(time - std::min(time, account.begun_ms)));
    host.has_come = true;
  };
  const auto progress = [](HostAccount& host, const std::string& value) {
    host.placed = std::min(kMaxPieces, parse_number<PieceNumber>(value).value_or(0));
    host.has_come = true;
  };
  const auto fail = [](HostAccount& host, const std::string& value) {
    host.error = value;
    host.has_come = true;
  };
  const auto add_own = [&](HostAccount& host, const std::string& value) {
    read_own_account(value, host);
    host.is_expected = host.is_expected || !are_named;
  };
  const bool is_listed = collect("last_expected", Adds::yes, expect) &&
                         (are_named || collect("last_others", Adds::yes, expect)) &&
                         collect("last_done", Adds::yes, finish) &&
                         collect("last_accounts", are_named ? Adds::no : Adds::yes, add_own) &&
                         collect("last_progress", Adds::no, progress) &&
                         collect("last_errors", Adds::no, fail);
  const auto totals = is_listed ? list(run, "last_totals") : std::nullopt;
  if (!totals) return false;
  for (const auto& [field, value] : *totals) read_total(field, value, account);
  account.hosts.clear();
  for (auto& [address, host] : hosts) account.hosts.push_back(std::move(host));
  return true;
}

std::optional<RunAccount> RedisCoordinator::last_account() {
  for (int attempt = 0; attempt < kListAttempts; ++attempt) {
    const auto answer = try_call("status", {});
    if (!answer) return std::nullopt;
    AnswerReader reader(*answer);
    AnswerReader run_reader(reader.value());
    const auto run = AnswerFields(run_reader).text_or_empty("id");
    AnswerReader last_reader(reader.value());
    const AnswerFields fields(last_reader);
    auto account = read_last_account(fields);
    if (!account) return std::nullopt;
    if (list_accounts(run, fields.text_or_empty("rule") == "named", *account)) return account;
  }
  throw Failure(ExitStatus::redis, Remedy::try_again,
                "runs begin and end while their accounts are read: ask again");
}

}  // namespace libsync
