// Loading the functions, and the verbs of MasterCoordinator and Observer.

#include "redis/coordinator.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/task.h"
#include "redis/answer.h"

namespace libsync {
namespace {

constexpr std::size_t kHostsAtOnce = 2000;  // CHANGED_AT_ONCE in context.lua.

std::string word_of(Spread spread) {
  switch (spread) {
    case Spread::automatic:
      return "auto";
    case Spread::claims:
      return "claims";
    case Spread::trees:
      break;
  }
  return "trees";
}

// The rule of expected hosts, see expected.lua.
std::string rule_of(const Expected& expected) {
  return expected.unnamed == Unnamed::does_not_count ? "named" : std::to_string(expected.count);
}

// Which payload a run distributes, and how it is cut, as arguments of a function.
void append_payload(RedisCommand& arguments, const RunInfo& run) {
  arguments.insert(arguments.end(),
                   {run.task.text(), run.task.name(), run.fingerprint.text(),
                    std::to_string(run.cut.stream_bytes), std::to_string(run.cut.piece_bytes),
                    std::to_string(run.cut.pieces()), manifest_field(run.manifest)});
}

StageOutcome done_or_stale(const RedisValue& answer, std::string_view word) {
  if (is_for_us(answer, word)) return Done{};
  return Stale{};
}

}  // namespace

RedisCoordinator::RedisCoordinator(RedisCoordinatorOptions options)
    : options_(std::move(options)), verbs_(options_.server), wakes_(options_.server) {}

std::optional<RedisValue> RedisCoordinator::try_call(std::string_view verb,
                                                     RedisCommand arguments) {
  RedisCommand command{"FCALL", fmt::format("{}_{}", kLibrary, verb), "0", options_.prefix,
                       options_.time()};
  std::move(arguments.begin(), arguments.end(), std::back_inserter(command));
  auto answer = verbs_.ask(command);
  if (const auto* const error = answer.error()) {
    if (error->text.find("Function not found") != std::string::npos) return std::nullopt;
  }
  return answer;
}

RedisValue RedisCoordinator::call(std::string_view verb, const RedisCommand& arguments) {
  if (auto answer = try_call(verb, arguments)) return *std::move(answer);
  load_functions();
  if (auto answer = try_call(verb, arguments)) return *std::move(answer);
  throw_not_understood("functions that are missing as soon as they are loaded");
}

RedisValue RedisCoordinator::call_or_stale(std::string_view verb, const RedisCommand& arguments) {
  if (auto answer = try_call(verb, arguments)) return *std::move(answer);
  return {RedisValue::Array{{std::string("STALE")}}};
}

void RedisCoordinator::load_functions() {
  const auto& source = options_.functions;
  const auto listed =
      verbs_.ask({"FUNCTION", "LIST", "LIBRARYNAME", std::string(kLibrary), "WITHCODE"});
  if (const auto* const libraries = listed.array(); libraries != nullptr && !libraries->empty()) {
    if (const auto* const fields = libraries->front().array()) {
      for (std::size_t i = 0; i + 1 < fields->size(); i += 2) {
        const auto* const name = (*fields)[i].text();
        const auto* const code = (*fields)[i + 1].text();
        if (name != nullptr && code != nullptr && *name == "library_code" && *code == source)
          return;
      }
    }
  }
  const auto loaded = verbs_.ask({"FUNCTION", "LOAD", "REPLACE", source});
  if (const auto* const error = loaded.error()) throw_not_understood(escaped(error->text));
}

std::optional<std::string> RedisCoordinator::task_or_nothing() {
  const auto task = verbs_.ask({"GET", options_.prefix + "task"});
  if (is_wrong_type(task)) return std::nullopt;
  if (const auto* const error = task.error()) throw_not_understood(escaped(error->text));
  const auto* const text = task.text();
  return text == nullptr ? std::nullopt : std::optional(*text);
}

Discovery RedisCoordinator::discover() {
  Discovery discovery{.task = task_or_nothing()};
  if (!discovery.task) return discovery;
  const auto plain = std::string(without_trailing_slash(*discovery.task));
  discovery.has_slash = plain != *discovery.task;
  discovery.task = plain;
  // People and other programs see both keys, and neither decides anything.
  const auto lookup = options_.prefix + "lookup";
  if (verbs_.ask({"INCR", lookup}).error() != nullptr) {
    static_cast<void>(verbs_.ask({"SET", lookup, "1"}));
  }
  const auto finished = verbs_.ask({"SCARD", options_.prefix + "finished_queue"});
  discovery.finished = static_cast<std::size_t>(finished.number() ? *finished.number() : 0);
  return discovery;
}

BeginOutcome RedisCoordinator::begin(const RunInfo& run, unsigned origin_slots,
                                     const Expected& expected, TaskKey task, Spread spread) {
  RedisCommand arguments{run.id.text()};
  append_payload(arguments, run);
  arguments.insert(arguments.end(),
                   {std::to_string(run.manifest_bytes), run.origin.text(),
                    run.origin_kind == OriginKind::master ? "master" : "minion", run.master.text(),
                    std::to_string(origin_slots), task == TaskKey::restore ? "1" : "0",
                    word_of(spread), rule_of(expected)});
  arguments.insert(arguments.end(), expected.hosts.begin(), expected.hosts.end());
  auto outcome = read_begin(call("begin", arguments));
  if (std::holds_alternative<Begun>(outcome)) wake_others(true);
  return outcome;
}

void RedisCoordinator::wake_others(bool begins) {
  for (std::string page; page != "0";) {
    const auto answer = call("wake", {page, begins ? "1" : "0"});
    AnswerReader reader(answer);
    if (reader.text() != "WOKEN") throw_not_understood("the answer to wake");
    page = reader.text();
  }
}

StageOutcome RedisCoordinator::stage(const RunId& run, const std::vector<StagedPiece>& pieces,
                                     RunState final_state) {
  RedisCommand arguments{run.text(), final_state == RunState::staged ? "1" : "0"};
  for (const auto& staged : pieces) {
    arguments.push_back(std::to_string(staged.piece));
    arguments.push_back(encode(staged));
  }
  return done_or_stale(call("stage", arguments), "STAGED");
}

void RedisCoordinator::show_work(const std::string& text) {
  static_cast<void>(done_or_stale(call("stage", {"", "work", text}), "STAGED"));
}

Watch RedisCoordinator::watch() { return read_watch(call("watch", {})); }

StageOutcome RedisCoordinator::expect(const RunId& run, const Expected& expected) {
  const auto found = list(run.text(), "expected");
  if (!found) return Stale{};
  const std::set<std::string> wanted(expected.hosts.begin(), expected.hosts.end());
  std::set<std::string> now;
  for (const auto& [host, value] : *found) now.insert(host);
  std::vector<std::string> added;
  std::vector<std::string> dropped;
  std::set_difference(wanted.begin(), wanted.end(), now.begin(), now.end(),
                      std::back_inserter(added));
  std::set_difference(now.begin(), now.end(), wanted.begin(), wanted.end(),
                      std::back_inserter(dropped));
  const auto change = [&](const char* how, const std::vector<std::string>& hosts) {
    std::size_t at = 0;
    do {
      RedisCommand arguments{run.text(), rule_of(expected), how};
      for (const auto end = std::min(hosts.size(), at + kHostsAtOnce); at < end; ++at) {
        arguments.push_back(hosts[at]);
      }
      if (!is_for_us(call("expect", arguments), "EXPECTED")) return false;
    } while (at < hosts.size());
    return true;
  };
  if (!change("drop", dropped) || !change("add", added)) return Stale{};
  return Done{};
}

StageOutcome RedisCoordinator::admit(const RunId& run) {
  for (std::string page;;) {
    const auto answer = call("admit", {run.text(), page});
    if (!is_for_us(answer, "ADMITTED")) return Stale{};
    AnswerReader reader(answer);
    static_cast<void>(reader.text());
    const bool is_left = reader.number() > 0;
    page = reader.at_end() ? std::string() : reader.text();
    if (!is_left && page.empty()) return Done{};
  }
}

RepairOutcome RedisCoordinator::repair(const RunInfo& run, const RunId& another,
                                       const std::vector<StagedPiece>& recorded,
                                       const Expected& expected) {
  std::string digests(std::size_t{run.cut.pieces()} * kStagedBytes, '\0');
  for (const auto& staged : recorded) {
    if (staged.piece >= run.cut.pieces()) continue;
    digests.replace(staged.piece * kStagedBytes, kStagedBytes, encode(staged));
  }
  RedisCommand arguments{run.id.text(), another.text(), run.state == RunState::staged ? "1" : "0"};
  append_payload(arguments, run);
  arguments.insert(arguments.end(), {std::to_string(run.manifest_bytes), run.master.text(),
                                     rule_of(expected), std::move(digests)});
  arguments.insert(arguments.end(), expected.hosts.begin(), expected.hosts.end());
  auto outcome = read_repair(call("repair", arguments));
  const auto* const repaired = std::get_if<Repaired>(&outcome);
  if (repaired != nullptr && repaired->run != run.id) wake_others(false);
  return outcome;
}

void RedisCoordinator::overtake(const RunId& run, const std::optional<TaskPath>& task) {
  const auto waiting = task ? task->text() : std::string();
  static_cast<void>(is_for_us(call("overtake", {run.text(), waiting}), "VIEW"));
}

StageOutcome RedisCoordinator::vouch(const RunId& run) {
  return done_or_stale(call("vouch", {run.text()}), "VIEW");
}

EndOutcome RedisCoordinator::end(const RunId& run, const std::string& outcome,
                                 const std::string& reason, TaskAfter task) {
  // First, because afterwards no key knows the hosts.
  const auto waits = hosts_awaited();
  const bool is_ours = waits && waits->run == run.text();
  const auto hook_failed = hosts_with_failed_hook(run.text());
  const auto silent = is_ours ? fmt::format("{}", fmt::join(waits->hosts.silent, " ")) : "";
  const auto answer =
      call("end", {run.text(), outcome, reason, task == TaskAfter::goes ? "1" : "0", silent});
  if (!is_for_us(answer, "ENDED")) return Stale{};
  wake_others(false);
  auto ended = read_ended(answer);
  if (is_ours) {
    ended.missing = waits->hosts.missing;
    ended.silent = waits->hosts.silent;
  }
  ended.hook_failed = hook_failed;
  return ended;
}

std::vector<std::string> RedisCoordinator::hosts_with_failed_hook(const std::string& run) {
  std::vector<std::string> hosts;
  for (const auto& [host, reason] : list(run, "hooks").value_or(HostValues{})) {
    if (Address::parse(host) && !reason.empty()) hosts.push_back(host);
  }
  return hosts;
}

bool RedisCoordinator::refuse(const std::string& task, const std::string& reason) {
  const auto answer = call("refuse", {task, reason});
  return AnswerReader(answer).text() == "REFUSED";
}

std::optional<Address> RedisCoordinator::own_address() {
  const auto text = verbs_.local_address();
  return text ? Address::parse(*text) : std::nullopt;
}

}  // namespace libsync
