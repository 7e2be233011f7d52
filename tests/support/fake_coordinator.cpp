#include "fake_coordinator.h"

#include <sys/eventfd.h>
#include <unistd.h>

namespace libsync::test {

Failure redis_out_of_reach() {
  return {ExitStatus::redis, Remedy::try_again, "Redis is out of reach: a test has seen to that"};
}

// --- Master ---

// A function that is missing is loaded first.
template <typename Act>
std::invoke_result_t<Act> FakeMasterCoordinator::call(std::string_view verb, Act act) {
  return faults.call(verb, [&] {
    state_.has_functions = true;
    return act();
  });
}

void FakeMasterCoordinator::load_functions() {
  call("load_functions", [] {});
}

Discovery FakeMasterCoordinator::discover() {
  return faults.call("discover", [&] { return state_.discover(); });
}

BeginOutcome FakeMasterCoordinator::begin(const RunInfo& run, unsigned origin_slots,
                                          const Expected& expected, TaskKey task, Spread spread) {
  return call("begin", [&] { return state_.begin(run, origin_slots, expected, task, spread); });
}

StageOutcome FakeMasterCoordinator::stage(const RunId& run, const std::vector<StagedPiece>& pieces,
                                          RunState final_state) {
  return call("stage", [&] { return state_.stage(run, pieces, final_state); });
}

Watch FakeMasterCoordinator::watch() {
  return call("watch", [&] { return state_.watch(); });
}

StageOutcome FakeMasterCoordinator::expect(const RunId& run, const Expected& expected) {
  return call("expect", [&] { return state_.expect(run, expected); });
}

std::optional<Awaited> FakeMasterCoordinator::awaited() {
  return call("awaited", [&] { return state_.awaited(); });
}

StageOutcome FakeMasterCoordinator::admit(const RunId& run) {
  return call("admit", [&] { return state_.admit(run); });
}

RepairOutcome FakeMasterCoordinator::repair(const RunInfo& run, const RunId& another,
                                            const std::vector<StagedPiece>& recorded,
                                            const Expected& expected) {
  return call("repair", [&] { return state_.repair(run, another, recorded, expected); });
}

void FakeMasterCoordinator::show_work(const std::string& text) {
  call("show_work", [&] { state_.show_masters_work(text); });
}

void FakeMasterCoordinator::overtake(const RunId& run, const std::optional<TaskPath>& task) {
  call("overtake", [&] { state_.overtake(run, task); });
}

StageOutcome FakeMasterCoordinator::vouch(const RunId& run) {
  return call("vouch", [&] { return state_.vouch(run); });
}

EndOutcome FakeMasterCoordinator::end(const RunId& run, const std::string& outcome,
                                      const std::string& reason, TaskAfter task) {
  return call("end", [&] { return state_.end(run, outcome, reason, task); });
}

std::optional<RunAccount> FakeMasterCoordinator::last_account() {
  return faults.call("last_account", [&] { return state_.last_account(); });
}

bool FakeMasterCoordinator::refuse(const std::string& task, const std::string& reason) {
  return call("refuse", [&] { return state_.refuse(task, reason); });
}

// --- Minion ---

FakeMinionCoordinator::FakeMinionCoordinator(FakeSharedState& state, std::vector<Network> peers)
    : state_(state), peers_(std::move(peers)), ready_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!ready_) throw_disk_failure("make", std::filesystem::path("an eventfd"));
  state_.add_listener(this, [this] { signal(); });
}

FakeMinionCoordinator::~FakeMinionCoordinator() { state_.remove_listener(this); }

JoinOutcome FakeMinionCoordinator::join(const Address& host, const HostId& id, Arrival arrival,
                                        SeatWish seat, Duration stays) {
  auto outcome = faults.call("join", [&] { return state_.join(host, id, arrival, seat, stays); });
  auto* const joined = std::get_if<Joined>(&outcome);
  if (joined != nullptr && joined->seat) drop_strangers(*joined->seat);
  return outcome;
}

std::vector<StagedPiece> FakeMinionCoordinator::digests(const RunId& run,
                                                        const std::vector<PieceNumber>& pieces) {
  return faults.call("digests", [&] { return state_.digests(run, pieces); });
}

ViewOutcome FakeMinionCoordinator::report(const RunId& run, const Address& host,
                                          const Holdings& holdings, unsigned slots,
                                          Clearance clearance) {
  return faults.call("report",
                     [&] { return state_.report(run, host, holdings, slots, clearance); });
}

SeatOutcome FakeMinionCoordinator::report_from_seat(const RunId& run, const Address& host,
                                                    const Holdings& holdings, unsigned slots,
                                                    Clearance clearance, const PieceSet& known,
                                                    const std::vector<ParentFeedback>& feedback) {
  auto outcome = faults.call("report_from_seat", [&] {
    return state_.report_from_seat(run, host, holdings, slots, clearance, known, feedback);
  });
  if (auto* const seated = std::get_if<Seated>(&outcome)) drop_strangers(seated->seat);
  return outcome;
}

ClaimOutcome FakeMinionCoordinator::claim(const RunId& run, const Address& host,
                                          const Holdings& holdings, const Want& want) {
  return within_peers(
      faults.call("claim", [&] { return state_.claim(run, host, holdings, want); }));
}

ClaimOutcome FakeMinionCoordinator::complete(const RunId& run, const Address& host,
                                             const Token& token, PullEnd end,
                                             const std::string& detail, const Holdings& holdings,
                                             const std::optional<Want>& next) {
  return within_peers(faults.call(
      "complete", [&] { return state_.complete(run, host, token, end, detail, holdings, next); }));
}

std::optional<RunState> FakeMinionCoordinator::state_of(const RunId& run) {
  return faults.call("state_of", [&] { return state_.state_of(run); });
}

RenewOutcome FakeMinionCoordinator::renew(const RunId& run, const Address& host,
                                          const std::vector<Token>& tokens) {
  return faults.call("renew", [&] { return state_.renew(run, host, tokens); });
}

FinishOutcome FakeMinionCoordinator::finish(const RunId& run, const Address& host,
                                            const Digest& manifest, const Holdings& holdings,
                                            unsigned slots) {
  return faults.call("finish", [&] { return state_.finish(run, host, manifest, holdings, slots); });
}

void FakeMinionCoordinator::doubt(const RunId& run, const Address& host,
                                  const std::string& reason) {
  faults.call("doubt", [&] { state_.doubt(run, host, reason); });
}

void FakeMinionCoordinator::report_fault(const RunId& run, const Address& host, Fault fault,
                                         const std::string& reason) {
  faults.call("report_fault", [&] { state_.report_fault(run, host, fault, reason); });
}

void FakeMinionCoordinator::show_work(const RunId& run, const Address& host,
                                      const std::string& text) {
  faults.call("show_work", [&] { state_.show_work(run, host, text); });
}

void FakeMinionCoordinator::give_account(const RunId& run, const Address& host,
                                         const OwnAccount& account) {
  faults.call("give_account", [&] { state_.give_account(run, host, account); });
}

void FakeMinionCoordinator::leave(const RunId& run, const Address& host, Retreat retreat,
                                  const std::string& reason) {
  faults.call("leave", [&] { state_.leave(run, host, retreat, reason); });
}

ClaimOutcome FakeMinionCoordinator::within_peers(ClaimOutcome outcome) const {
  const auto* const claimed = std::get_if<Claimed>(&outcome);
  if (claimed == nullptr || is_within(claimed->claim.source, peers_)) return outcome;
  return Unusable{claimed->claim.token, claimed->claim.source.text()};
}

void FakeMinionCoordinator::drop_strangers(Seat& seat) const {
  for (auto& parent : seat.parents) {
    if (parent && !is_within(*parent, peers_)) parent.reset();
  }
}

// --- Wake-ups ---

void FakeMinionCoordinator::listen(const Address& host, std::chrono::seconds patience) {
  if (listens_to_) return;
  faults.call("listen", [&] {
    listens_to_ = host;
    is_broken_ = false;
    lapses_ms_ = state_.now_ms() + static_cast<std::uint64_t>(Duration(patience).count());
  });
  signal();
}

Listening FakeMinionCoordinator::listening() const {
  if (!listens_to_) return Listening::on;
  if (is_broken_) return Listening::lapsed;
  if (state_.has_wake(*listens_to_)) return Listening::woken;
  return state_.now_ms() >= lapses_ms_ ? Listening::lapsed : Listening::on;
}

// Makes the descriptor readable if listening has ended, and else not.
void FakeMinionCoordinator::signal() const {
  eventfd_t count = 0;
  static_cast<void>(eventfd_read(ready_.number(), &count));
  if (listening() != Listening::on) static_cast<void>(eventfd_write(ready_.number(), 1));
}

int FakeMinionCoordinator::wake_descriptor() const {
  if (!listens_to_) return -1;
  signal();
  return ready_.number();
}

Listening FakeMinionCoordinator::heard() {
  const auto now = listening();
  if (now == Listening::woken) state_.consume_wake(*listens_to_);
  if (now != Listening::on) listens_to_.reset();
  return now;
}

// --- Observer ---

Status FakeObserver::status() {
  return faults.call("status", [&] { return state_.status(); });
}

Pulse FakeObserver::pulse() {
  return faults.call("pulse", [&] { return state_.pulse(); });
}

std::optional<Address> FakeObserver::own_address() {
  return faults.call("own_address", [&] { return address; });
}

}  // namespace libsync::test
