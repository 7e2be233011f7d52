#include "fake_shared_state.h"

#include <algorithm>

namespace libsync::test {
namespace {

constexpr std::uint64_t kSeenLatelyMs = 600'000;
constexpr std::uint64_t kSilentMs = 30'000;
constexpr std::size_t kTreesFromHosts = 100;
constexpr PieceNumber kTreesFromPieces = 64;
// The origin's uploads belong to its trees but for these.
constexpr unsigned kUploadsBesideTrees = 2;

constexpr std::size_t kWorkBytes = 100;
constexpr std::uint64_t kWorkLastsMs = 30'000;
constexpr std::uint64_t kLatelyMs = std::chrono::milliseconds(kLately).count();

}  // namespace

// --- Time and wake-ups ---

void FakeSharedState::keep_time_with(const Clock& clock) {
  advanced_ms_ = now_ms();
  clock_ = &clock;
  clock_start_ = clock.now();
}

std::uint64_t FakeSharedState::now_ms() const {
  if (clock_ == nullptr) return advanced_ms_;
  const auto passed = std::chrono::duration_cast<Duration>(clock_->now() - clock_start_);
  return advanced_ms_ + static_cast<std::uint64_t>(passed.count());
}

void FakeSharedState::lose_everything() {
  task.reset();
  has_functions = false;
  lookups_ = 0;
  run_.reset();
  last_run_.reset();
  last_.reset();
  last_account_.reset();
  accounts_.clear();
  last_accounts_.clear();
  seen_ms_.clear();
  ids_.clear();
  address_of_.clear();
  lingers_until_ms_.clear();
  wakes_.clear();
}

void FakeSharedState::wake(const Address& host) {
  wakes_.insert(host);
  for (const auto& [key, woken] : listeners_) woken();
}

void FakeSharedState::add_listener(const void* key, std::function<void()> woken) {
  listeners_.insert_or_assign(key, std::move(woken));
}

void FakeSharedState::wake_waiting() {
  for (const auto& host : run_->end_servable_waits(now_ms())) wake(host);
}

void FakeSharedState::wake_all() {
  for (const auto& name : seen_lately()) wake(Address::parse(name).value());
}

std::vector<std::string> FakeSharedState::seen_lately() const {
  std::vector<std::string> names;
  for (const auto& [host, seen] : seen_ms_) {
    if (seen + kSeenLatelyMs >= now_ms()) names.push_back(host.text());
  }
  return names;
}

// --- The verbs of the master ---

std::optional<std::string> FakeSharedState::plain_task() const {
  if (!task) return std::nullopt;
  return std::string(without_trailing_slash(*task));
}

Discovery FakeSharedState::discover() {
  if (!task) return {};
  ++lookups_;
  const auto text = plain_task();
  return {text, text != task, run_ ? run_->finished() : 0};
}

BeginOutcome FakeSharedState::begin(const RunInfo& run, unsigned origin_slots,
                                    const Expected& expected, TaskKey key, Spread spread) {
  if (run_) {
    const auto& now = run_->info;
    if (now.id != run.id || now.origin != run.origin || now.origin_kind != run.origin_kind ||
        now.manifest != run.manifest) {
      return Busy{now.id, now.task};
    }
    if (now.has_trees) origin_slots = std::min(origin_slots, kUploadsBesideTrees);
    if (now.origin_kind == OriginKind::master) run_->host(now.origin).slots = origin_slots;
    return AlreadyBegun{};
  }
  const bool are_named = expected.count > 0 || !expected.hosts.empty();
  const auto hosts = are_named ? expected.hosts : seen_lately();
  const auto known = std::max(expected.count, hosts.size());
  const bool has_trees =
      spread == Spread::trees || (spread == Spread::automatic && known >= kTreesFromHosts &&
                                  run.cut.pieces() >= kTreesFromPieces);
  if (has_trees) origin_slots = std::min(origin_slots, kUploadsBesideTrees);
  accounts_.clear();
  masters_work_.clear();
  auto info = run;
  info.state = RunState::staging;
  info.has_trees = has_trees;
  info.begun_ms = now_ms();
  run_.emplace(info, origin_slots);
  begun_.push_back(info);
  run_->expected_hosts = {hosts.begin(), hosts.end()};
  run_->expected_count = expected.count;
  run_->is_named = expected.unnamed == Unnamed::does_not_count;
  run_->known_at_begin = known;
  run_->joined_ms = now_ms();
  if (key == TaskKey::restore && !task) task = run.task.text();
  for (const auto& [host, until] : lingers_until_ms_) {
    if (has_trees && until > now_ms() && host != run.origin) run_->seats.push_back(host);
  }
  wake_all();
  return Begun{hosts};
}

StageOutcome FakeSharedState::stage(const RunId& run, const std::vector<StagedPiece>& pieces,
                                    RunState final_state) {
  if (!is_current(run)) return Stale{};
  run_->stage(pieces, final_state);
  if (run_->info.origin_kind == OriginKind::minion) wake(run_->info.origin);
  wake_waiting();
  return Done{};
}

Watch FakeSharedState::watch() {
  Watch watch;
  watch.task = plain_task();
  watch.wrong_type = task_type;
  if (!task_type.empty()) watch.task.reset();
  if (!run_) return watch;
  if (!task_type.empty()) watch.task = run_->info.task.text();
  const auto& info = run_->info;
  watch.run = RunStanding{
      .id = info.id,
      .state = info.state,
      .task = info.task,
      .master = info.master,
      .finished = run_->finished(),
      .expected = run_->expected(),
      .newcomers = run_->joined_hosts.size(),
      .known_at_begin = run_->known_at_begin,
      .age = since(info.begun_ms, now_ms()),
      .since_last_joined = since(run_->joined_ms, now_ms()),
      .overtaken_for = std::nullopt,
      .waiting = run_->waiting_task,
      .origin_is_suspect = info.origin_kind == OriginKind::master
                               ? run_->host(info.origin).is_suspect
                               : run_->is_undelivered,
      .format = format,
  };
  if (run_->overtaken_ms) watch.run->overtaken_for = since(*run_->overtaken_ms, now_ms());
  return watch;
}

StageOutcome FakeSharedState::admit(const RunId& run) {
  if (!is_current(run)) return Stale{};
  auto& run_now = *run_;
  for (const auto& name : run_now.joined_hosts) {
    if (run_now.is_named) {
      if (!run_now.expected_hosts.contains(name)) run_now.other_hosts.insert(name);
    } else if (has_moved(name)) {
      run_now.expected_hosts.erase(name);
      run_now.other_hosts.erase(name);
    } else {
      run_now.expected_hosts.insert(name);
      run_now.other_hosts.erase(name);
    }
  }
  run_now.joined_hosts.clear();
  if (run_now.is_named) return Done{};
  const auto expected = run_now.expected_hosts;
  const auto others = run_now.other_hosts;
  for (const auto& name : expected) {
    if (!is_silent(name) || run_now.has_finished(name)) continue;
    run_now.expected_hosts.erase(name);
    run_now.other_hosts.insert(name);
  }
  for (const auto& name : others) {
    if (is_silent(name) && !run_now.has_finished(name)) continue;
    run_now.other_hosts.erase(name);
    run_now.expected_hosts.insert(name);
  }
  return Done{};
}

// A host that was never seen counts as seen when the run began.
bool FakeSharedState::is_silent(const std::string& name) const {
  const auto found = seen_ms_.find(Address::parse(name).value());
  const auto seen = found == seen_ms_.end() ? run_->info.begun_ms : found->second;
  const bool is_short = run_->expected_count > 0 && run_->ticking.contains(name);
  return now_ms() - seen > (is_short ? kSilentMs : kSeenLatelyMs);
}

std::vector<std::string> FakeSharedState::known_silent() const {
  std::vector<std::string> names;
  if (run_->is_named || run_->expected_count > 0) return names;
  for (const auto& [host, seen] : seen_ms_) {
    const auto name = host.text();
    if (seen + kSeenLatelyMs <= now_ms() && !run_->expected_hosts.contains(name) &&
        !run_->other_hosts.contains(name) && !run_->has_finished(name)) {
      names.push_back(name);
    }
  }
  return names;
}

StageOutcome FakeSharedState::expect(const RunId& run, const Expected& expected) {
  if (!is_current(run)) return Stale{};
  auto& run_now = *run_;
  const std::set<std::string> wanted(expected.hosts.begin(), expected.hosts.end());
  run_now.is_named = expected.unnamed == Unnamed::does_not_count;
  run_now.expected_count = expected.count;
  static_cast<void>(admit(run));
  const auto before = run_now.expected_hosts;
  for (const auto& name : before) {
    if (wanted.contains(name)) continue;
    const bool is_there = run_now.ticking.contains(name) || run_now.has_finished(name);
    if (run_now.is_named || !is_there) run_now.expected_hosts.erase(name);
    if (run_now.is_named && is_there) run_now.other_hosts.insert(name);
  }
  for (const auto& name : wanted) {
    if (run_now.is_named) run_now.other_hosts.erase(name);
    if (!run_now.other_hosts.contains(name) && (run_now.is_named || !has_moved(name))) {
      run_now.expected_hosts.insert(name);
    }
  }
  return Done{};
}

std::optional<Awaited> FakeSharedState::awaited() {
  if (!run_) return std::nullopt;
  return Awaited{run_->finished(), run_->expected(), run_->missing(), known_silent()};
}

RepairOutcome FakeSharedState::repair(const RunInfo& run, const RunId& another,
                                      const std::vector<StagedPiece>& recorded,
                                      const Expected& expected) {
  if (!is_current(run.id)) return Stale{};
  auto& now = run_->info;
  Repaired repaired{run.id, {}};
  const bool is_other = now.manifest != run.manifest || now.cut != run.cut ||
                        now.fingerprint != run.fingerprint || now.task != run.task;
  const std::map<PieceNumber, StagedPiece> right = [&] {
    std::map<PieceNumber, StagedPiece> all;
    for (const auto& staged : recorded) {
      if (run_->announced.contains(staged.piece)) all.insert_or_assign(staged.piece, staged);
    }
    return all;
  }();
  const bool is_early = now.state == RunState::staged && run.state != RunState::staged;
  if (is_other || is_early) repaired.keys.emplace_back("sync:run");
  if (run_->announced != right) repaired.keys.emplace_back("sync:digests");
  const bool is_suspect = is_other || run_->announced != right;
  now.manifest = run.manifest;
  now.cut = run.cut;
  now.fingerprint = run.fingerprint;
  now.task = run.task;
  if (is_early) now.state = RunState::staging;
  run_->announced = right;
  const auto before = run_->expected_hosts.size();
  for (const auto& name : expected.hosts) {
    if (!run_->other_hosts.contains(name) && (run_->is_named || !has_moved(name))) {
      run_->expected_hosts.insert(name);
    }
  }
  if (run_->expected_hosts.size() != before) repaired.keys.emplace_back("sync:expected");
  if (is_suspect) {
    now.id = repaired.run = another;
    for (auto& [address, known] : run_->hosts) known.finished_ms.reset();
    wake_all();
  }
  return repaired;
}

void FakeSharedState::overtake(const RunId& run, const std::optional<TaskPath>& waiting) {
  if (!is_current(run)) return;
  if (!waiting) {
    run_->overtaken_ms.reset();
  } else if (!run_->overtaken_ms) {
    run_->overtaken_ms = now_ms();
  }
  run_->waiting_task = waiting;
}

StageOutcome FakeSharedState::vouch(const RunId& run) {
  if (!is_current(run)) return Stale{};
  const auto& origin = run_->info.origin;
  if (run_->is_masters_spool(origin)) {
    run_->clear(origin);
    for (const auto& [piece, digest] : run_->announced) run_->host(origin).have.insert(piece);
  } else {
    run_->is_undelivered = false;
  }
  wake(origin);
  wake_waiting();
  return Done{};
}

EndOutcome FakeSharedState::end(const RunId& run, const std::string& outcome,
                                const std::string& reason, TaskAfter after) {
  if (!is_current(run)) return Stale{};
  const auto& info = run_->info;
  Ended answer{run_->missing(),  known_silent(),        run_->finished(),
               run_->expected(), info.cut.stream_bytes, since(info.begun_ms, now_ms())};
  for (const auto& [address, known] : run_->hosts) {
    if (!known.hook_fault.empty()) answer.hook_failed.push_back(address.text());
  }
  ended_.push_back({run, info.task.text(), outcome, reason, answer.missing, run_->announced});
  masters_work_.clear();
  last_run_ = run;
  last_begun_ms_ = info.begun_ms;
  last_ = LastStatus{.path = info.task.text(),
                     .outcome = outcome,
                     .reason = reason,
                     .finished = run_->finished(),
                     .expected = run_->expected(),
                     .silent = known_silent(),
                     .bytes = info.cut.stream_bytes,
                     .took = since(info.begun_ms, now_ms()),
                     .run = run.text(),
                     .run_outcome = outcome};
  for (const auto& name : run_->expected_hosts) last_->hosts.push_back({.address = name});
  for (const auto& [address, known] : run_->hosts) {
    auto found = std::find_if(
        last_->hosts.begin(), last_->hosts.end(),
        [&, &text = address.text()](const LastHost& one) { return one.address == text; });
    if (found == last_->hosts.end() && !known.finished_ms) continue;
    if (found == last_->hosts.end()) {
      last_->hosts.push_back({.address = address.text()});
      found = std::prev(last_->hosts.end());
    }
    found->has_finished = known.finished_ms.has_value();
    found->error = known.error;
    found->hook_fault = known.hook_fault;
  }
  last_ended_ms_ = now_ms();
  keep_account();
  if (after == TaskAfter::goes && plain_task() == info.task.text()) task.reset();
  lookups_ = 0;
  run_.reset();
  wake_all();
  return answer;
}

bool FakeSharedState::refuse(const std::string& refused, const std::string& reason) {
  if (plain_task() != refused) return false;
  if (run_) {
    task = run_->info.task.text();
  } else {
    task.reset();
  }
  lookups_ = 0;
  refusals_.push_back(reason);
  const auto former = last_.value_or(LastStatus{});
  last_ = LastStatus{.path = refused,
                     .outcome = "refused",
                     .reason = reason,
                     .run = former.run,
                     .run_outcome = former.run_outcome};
  last_ended_ms_ = now_ms();
  return true;
}

void FakeSharedState::show_masters_work(const std::string& text) {
  masters_work_ = text.substr(0, kWorkBytes);
  masters_work_ms_ = now_ms();
  works_shown_.push_back(text);
}

std::string FakeSharedState::masters_work() const {
  return now_ms() <= masters_work_ms_ + kWorkLastsMs ? masters_work_ : std::string();
}

Pulse FakeSharedState::pulse() {
  Pulse pulse{.task = task.value_or(""), .run = {}, .last = {}};
  if (last_) {
    pulse.last = LastEnd{.path = last_->path,
                         .outcome = last_->outcome,
                         .reason = last_->reason,
                         .finished = last_->finished,
                         .expected = last_->expected,
                         .run = last_run_ ? last_run_->text() : "",
                         .ended_ms = last_ended_ms_,
                         .ended_ago = since(last_ended_ms_, now_ms())};
  }
  if (!run_) {
    pulse.work = masters_work();
    return pulse;
  }
  pulse.run = Pulse::Run{.id = run_->info.id.text(),
                         .path = run_->info.task.text(),
                         .finished = run_->finished(),
                         .expected = run_->expected(),
                         .bytes = run_->info.cut.stream_bytes,
                         .pieces = run_->info.cut.pieces(),
                         .moves = {.placed_lately = run_->placed_since(now_ms() - kLatelyMs)},
                         .age = since(run_->info.begun_ms, now_ms())};
  for (const auto& [address, known] : run_->hosts) {
    pulse.run->placed += known.in_place;
    if (!known.work.empty()) pulse.run->work = address.text() + " " + known.work;
  }
  if (!masters_work().empty()) pulse.run->work = "the master " + masters_work();
  if (!run_->moves.empty())
    pulse.run->moves.moved_ago = since(run_->moves.rbegin()->first, now_ms());
  for (const auto& [piece, digest] : run_->announced) {
    const auto sources =
        std::count_if(run_->hosts.begin(), run_->hosts.end(),
                      [&](const auto& host) { return host.second.have.contains(piece); });
    if (sources <= 1) ++pulse.run->moves.of_one_source;
  }
  return pulse;
}

Status FakeSharedState::status() {
  Status status{.task = plain_task().value_or("")};
  status.work = masters_work();
  if (last_) {
    status.last = last_;
    status.last->ended_ago = since(last_ended_ms_, now_ms());
  }
  std::map<std::string, HostStatus> hosts;
  for (const auto& name : seen_lately()) {
    hosts[name].seen_ago = since(seen_ms_.at(Address::parse(name).value()), now_ms());
  }
  if (run_) {
    const auto view = run_->view(run_->info.origin, now_ms());
    status.run = RunStatus{.run = run_->info,
                           .age = since(run_->info.begun_ms, now_ms()),
                           .announced = run_->announced.size(),
                           .free_sources = view.sources,
                           .expected = run_->expected(),
                           .missing = run_->missing(),
                           .silent = known_silent()};
    status.run->moves = pulse().run.value().moves;
    for (const auto& name : run_->expected_hosts) hosts[name].is_expected = true;
    for (const auto& name : run_->joined_hosts) hosts[name].is_expected = true;
    for (const auto& [address, known] : run_->hosts) {
      auto& host = hosts[address.text()];
      host.in_place = known.in_place;
      host.claims = run_->claims_of(address);
      host.uploads = run_->uploads_of(address);
      host.error = known.error;
      host.feed_fault = known.feed_fault;
      host.hook_fault = known.hook_fault;
      host.work = known.work;
      host.has_joined = address != run_->info.origin || run_->ticking.contains(address.text());
      host.is_running = known.is_running || host.claims > 0;
      if (known.finished_ms) host.finished_after = since(run_->info.begun_ms, *known.finished_ms);
    }
  }
  for (auto& [name, host] : hosts) {
    host.address = name;
    host.is_ticking = run_ && run_->ticking.contains(name);
    status.hosts.push_back(std::move(host));
  }
  for (const auto& [host, seen] : seen_ms_) {
    if (seen + kSeenLatelyMs <= now_ms()) status.silent.push_back(host.text());
  }
  return status;
}

}  // namespace libsync::test
