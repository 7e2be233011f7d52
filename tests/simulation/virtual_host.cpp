#include "virtual_host.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "libsync/core/grain.h"
#include "libsync/core/pieces.h"
#include "libsync/core/verdict.h"
#include "minion/pull_plan.h"
#include "os/random.h"
#include "store/spool.h"

namespace libsync::simulation {
namespace {

// As in minion_download.cpp.
constexpr double kReportEvery = 0.1;
constexpr double kLookEvery = 1;
constexpr double kFirstBackOff = 0.2;
constexpr std::size_t kFailuresAtMost = 4;
const double kRenewal = std::chrono::duration<double>(LeaseTerms::renewal).count();

// An Instant is whole nanoseconds.
constexpr double kRounding = 1e-8;

Instant instant_of(double seconds) {
  return Instant(
      std::chrono::duration_cast<Instant::duration>(std::chrono::duration<double>(seconds)));
}

}  // namespace

VirtualHost::VirtualHost(World& world, HostNumber number, Address address, RunInfo run,
                         unsigned slots)
    : world_(world),
      number_(number),
      address_(std::move(address)),
      run_(std::move(run)),
      slots_(slots),
      have_(run_.cut.pieces()),
      ledger_(run_.cut.pieces()),
      streams_(run_.cut.pieces(), instant_of(0)),
      reported_(have_.bitmap()) {}

template <typename Call>
auto VirtualHost::ask(const std::string& verb, Call call) {
  std::optional<decltype(call(std::declval<RedisCoordinator&>()))> outcome;
  const double answered = world_.redis().call(
      verb, world_.now(), [&](RedisCoordinator& redis) { outcome = call(redis); });
  world_.schedule(number_, World::Due::answer, answered);
  world_.deliver_wakes();
  return *std::move(outcome);
}

void VirtualHost::answer() {
  if (is_dead_) return;
  std::exchange(then_, nullptr)();
  step();
}

void VirtualHost::join() {
  if (is_dead_) return;
  const auto outcome = ask("join", [&](RedisCoordinator& coordinator) {
    return coordinator.join(address_, Arrival::first_of_tick, SeatWish::wanted, Duration::zero());
  });
  if (!std::holds_alternative<Joined>(outcome)) throw std::runtime_error("there is no run to join");
  then_ = [this, seat = std::get<Joined>(outcome).seat] {
    has_joined_ = true;
    run_.has_trees = seat.has_value();
    streams_ = Streams(run_.cut.pieces(), instant_of(world_.now()));
    if (seat) {
      slots_ = std::min(slots_, kSlotsBesideTrees);
      streams_.follow(*seat);
      patience_ = static_cast<double>(Streams::patience.count());
      reported_at_ = world_.now();
    }
    renewal_due_ = world_.now() + kRenewal;
    world_.schedule(number_, World::Due::served, world_.now());
  };
}

void VirtualHost::step() {
  if (is_dead_ || !has_joined_ || then_ || finished_at_) return;
  if (is_listening_ && (was_woken_ || world_.now() >= listens_until_)) {
    const bool was_called = was_woken_;
    is_listening_ = was_woken_ = false;
    claim_again_ = check_due_ = world_.now();
    if (was_called) is_called_ = true;
  }
  if (run_.has_trees) stream();
  if (complete() || report() || renew() || claim() || advance()) return;
  if (!is_listening_) listen();
  schedule_next();
}

// Asks nobody.
void VirtualHost::stream() {
  auto over = ledger_.completed();
  for (; over && streams_.owns(over->id); over = ledger_.completed()) {
    ledger_.forget(over->id);
    const auto report =
        streams_.ended(over->id, over->end, over->detail, have_, instant_of(world_.now()));
    if (report) parent_reports_.push_back(*report);
  }
  for (const auto& report : streams_.overdue(have_, instant_of(world_.now())))
    parent_reports_.push_back(report);
  for (const auto id : streams_.give_up(instant_of(world_.now()))) world_.give_up(number_, id);
  for (;;) {
    auto unwanted = have_;
    unwanted |= ledger_.in_flight();
    const auto pull = streams_.next(unwanted, instant_of(world_.now()));
    if (!pull) return;
    const Claim claim{random_name<Token>(), pull->parent, pull->pieces};
    const bool wants_manifest = !has_manifest_ && !ledger_.is_manifest_on_the_way();
    const auto id = next_id_++;
    streams_.started(*pull, id, instant_of(world_.now()));
    ledger_.add(id, claim, wants_manifest ? PullsManifest::yes : PullsManifest::no, Promise::none);
    world_.start_pull(number_, id, claim, Promise::none);
  }
}

bool VirtualHost::complete() {
  const auto over = ledger_.completed();
  if (!over) return false;
  const auto next = over->end == PullEnd::good ? want(over->id) : std::nullopt;
  world_.claim_ended(over->claim);
  const auto outcome = ask("complete", [&](RedisCoordinator& coordinator) {
    return coordinator.complete(run_.id, address_, over->claim.token, over->end, over->detail,
                                {have_, have_.size()}, next);
  });
  note_grant(outcome);
  then_ = [this, id = over->id, end = over->end, bitmap = have_.bitmap(), outcome,
           asked = world_.now()] {
    ledger_.forget(id);
    reported_ = bitmap;
    reported_at_ = world_.now();
    take(outcome, asked);
    if (end == PullEnd::good) return;
    failures_ = std::min(failures_ + 1, kFailuresAtMost);
    claim_in_peace_ = world_.now() + kFirstBackOff * static_cast<double>(1U << failures_);
  };
  return true;
}

bool VirtualHost::follow() {
  const double now = world_.now();
  if (!is_served_ || now < follow_due()) return false;
  const auto offered = slots_to_offer();
  const auto outcome = ask("follow", [&](RedisCoordinator& coordinator) {
    return coordinator.report_from_seat(run_.id, address_, {have_, have_.size()}, offered,
                                        Clearance::none, streams_.known(), parent_reports_);
  });
  parent_reports_.clear();
  is_called_ = false;
  reported_ = have_.bitmap();
  reported_slots_ = offered;
  reported_at_ = now;
  then_ = [this, followed = std::get<Seated>(outcome)] {
    state_ = followed.view.state;
    patience_ = static_cast<double>(Streams::patience.count());
    streams_.follow(followed.seat);
  };
  return true;
}

double VirtualHost::follow_due() const {
  auto unwanted = have_;
  unwanted |= ledger_.in_flight();
  if (is_called_) return reported_at_;
  const std::chrono::duration<double> pause = streams_.pause(unwanted, parent_reports_);
  return reported_at_ + pause.count();
}

bool VirtualHost::report() {
  if (run_.has_trees) return follow();
  const double now = world_.now();
  if (!report_due_ && has_news()) report_due_ = std::max(now, reported_at_ + kReportEvery);
  if (!report_due_ || now < *report_due_) return false;
  const auto offered = slots_to_offer();
  const auto outcome = ask("hold", [&](RedisCoordinator& coordinator) {
    return coordinator.report(run_.id, address_, {have_, have_.size()}, offered, Clearance::none);
  });
  reported_ = have_.bitmap();
  reported_slots_ = offered;
  reported_at_ = now;
  report_due_.reset();
  then_ = [this, view = std::get<View>(outcome)] { state_ = view.state; };
  return true;
}

bool VirtualHost::has_news() const {
  return have_.bitmap() != reported_ || slots_to_offer() != reported_slots_;
}

bool VirtualHost::renew() {
  if (world_.now() < renewal_due_) return false;
  if (run_.has_trees && is_served_ && ledger_.tokens().empty()) {
    renewal_due_ = world_.now() + kRenewal;
    return false;
  }
  const auto outcome = ask("renew", [&](RedisCoordinator& coordinator) {
    return coordinator.renew(run_.id, address_, ledger_.tokens());
  });
  renewal_due_ = world_.now() + kRenewal;
  if (!run_.has_trees) report_due_ = world_.now();
  then_ = [this, view = std::get<Renewed>(outcome).view] { state_ = view.state; };
  return true;
}

bool VirtualHost::claim() {
  if (world_.now() < std::max(claim_again_, claim_in_peace_)) return false;
  const auto wanted = want({});
  if (!wanted) return false;
  const auto outcome = ask("claim", [&](RedisCoordinator& coordinator) {
    return coordinator.claim(run_.id, address_, {have_, have_.size()}, *wanted);
  });
  note_grant(outcome);
  then_ = [this, outcome, asked = world_.now()] { take(outcome, asked); };
  return true;
}

void VirtualHost::note_grant(const ClaimOutcome& outcome) {
  if (const auto* const claimed = std::get_if<Claimed>(&outcome)) {
    world_.claim_granted(claimed->claim);
  }
}

void VirtualHost::take(const ClaimOutcome& outcome, double asked) {
  if (const auto* const claimed = std::get_if<Claimed>(&outcome)) {
    state_ = claimed->view.state;
    next_token_ = random_name<Token>();
    const bool wants_manifest = !has_manifest_ && !ledger_.is_manifest_on_the_way();
    const auto id = next_id_++;
    ledger_.add(id, claimed->claim, wants_manifest ? PullsManifest::yes : PullsManifest::no);
    pace_.started(id, instant_of(asked));
    world_.start_pull(number_, id, claimed->claim, Promise::given);
  } else if (const auto* const wait = std::get_if<Wait>(&outcome)) {
    state_ = wait->view.state;
    patience_ = static_cast<double>(wait->patience.count());
    claim_again_ = world_.now() + 2 * patience_;
  } else {
    throw std::runtime_error("a claim was answered by what this simulation cannot bring about");
  }
}

std::optional<Want> VirtualHost::want(const std::optional<TransferId>& without) {
  auto unwanted = have_;
  unwanted |= ledger_.in_flight(without);
  if (run_.has_trees) unwanted |= streams_.carried(have_, instant_of(world_.now()));
  const auto most = pieces_to_claim({.verified = have_.size(),
                                     .claimable = run_.cut.pieces() - unwanted.size(),
                                     .claims = ledger_.claims() - (without ? 1 : 0),
                                     .slots = slots_,
                                     .start_in_pieces = pace_.start_in_pieces(),
                                     .grain = grain_of(run_.cut)});
  const bool is_brought = run_.has_trees && !have_.is_complete();
  const bool needs_manifest = !has_manifest_ && !ledger_.is_manifest_on_the_way() && !is_brought;
  if (most == 0 && !needs_manifest) return std::nullopt;
  return Want{next_token_, most, std::move(unwanted)};
}

// Published in no time; the checks before and after are as real.
bool VirtualHost::advance() {
  if (!have_.is_complete() || !has_manifest_ || world_.now() < check_due_) return false;
  check_due_ = world_.now() + kLookEvery;
  if (!is_published_) {
    const auto state =
        ask("state", [&](RedisCoordinator& coordinator) { return coordinator.state_of(run_.id); });
    then_ = [this, state] {
      is_published_ = state == RunState::staged;
      if (is_published_) check_due_ = world_.now();
    };
    return true;
  }
  const auto outcome = ask("finish", [&](RedisCoordinator& coordinator) {
    return coordinator.finish(run_.id, address_, run_.manifest, {have_, have_.size()},
                              slots_to_offer());
  });
  reported_ = have_.bitmap();
  reported_slots_ = slots_to_offer();
  if (outcome != FinishOutcome::finished) throw std::runtime_error("a host may not finish");
  then_ = [this] { finished_at_ = world_.now(); };
  return true;
}

void VirtualHost::listen() {
  const auto [is_woken, answered] = world_.redis().listen(address_, world_.now());
  is_listening_ = true;
  was_woken_ = is_woken;
  listens_until_ = is_woken ? answered : world_.now() + patience_;
}

void VirtualHost::woken() {
  was_woken_ = true;
  step();
}

void VirtualHost::schedule_next() {
  const double now = world_.now();
  double due = std::min(listens_until_, renewal_due_);
  if (report_due_) due = std::min(due, *report_due_);
  if (run_.has_trees && is_served_) {
    due = std::min(due, follow_due());
    const auto stream_due = streams_.next_due(instant_of(now));
    if (stream_due != Instant::max()) {
      due = std::min(
          due, std::chrono::duration<double>(stream_due.time_since_epoch()).count() + kRounding);
    }
  }
  if (const double claim_due = std::max(claim_again_, claim_in_peace_); claim_due > now) {
    due = std::min(due, claim_due);
  }
  if (check_due_ > now) due = std::min(due, check_due_);
  if (scheduled_ > now && scheduled_ <= due) return;
  scheduled_ = due;
  world_.schedule(number_, World::Due::step, due);
}

void VirtualHost::manifest_arrived(TransferId id) {
  if (!std::holds_alternative<ManifestArrived>(ledger_.arrived({id, "manifest", 0}))) return;
  static_cast<void>(ledger_.judged({std::nullopt, Verdict::good}));
  has_manifest_ = true;
  step();
}

void VirtualHost::piece_arrived(TransferId id, PieceNumber piece) {
  if (!std::holds_alternative<PieceArrived>(ledger_.arrived({id, piece_name(piece), 0}))) {
    throw std::runtime_error("a piece arrives that nobody awaits");
  }
  pace_.arrived(id, instant_of(world_.now()));
  streams_.arrived(id, instant_of(world_.now()));
}

void VirtualHost::piece_judged(PieceNumber piece) {
  if (is_dead_) return;
  if (!ledger_.judged({piece, Verdict::good})) throw std::runtime_error("a piece nobody claimed");
  if (have_.contains(piece)) throw std::runtime_error("a piece was transferred twice");
  have_.insert(piece);
  failures_ = 0;
  if (have_.is_complete()) check_due_ = world_.now();
  step();
}

void VirtualHost::pull_ended(TransferId id, PullEnd end) {
  pace_.ended(id);
  ledger_.ended({id, end, end == PullEnd::good ? "" : "the connection was reset"});
  step();
}

}  // namespace libsync::simulation
