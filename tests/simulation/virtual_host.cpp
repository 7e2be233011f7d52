#include "virtual_host.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "libsync/core/failure.h"
#include "libsync/core/slots.h"

namespace libsync::simulation {
namespace {

// A call whose answer is lost ends after this time, and a tick joins this often.
constexpr double kCallTimeout = 2;
constexpr double kTickEvery = 5;
// Cron starts the next tick when one has failed at once.
constexpr double kNextTick = 60;
// The pause of a tick that has given up (kFailurePause in minion.cpp).
constexpr double kFailurePause = 10;
// An Instant is whole nanoseconds.
constexpr double kRounding = 1e-8;
// Sources in the account that a host gives.
constexpr std::size_t kShares = 8;

Instant instant_of(double seconds) {
  return Instant(
      std::chrono::duration_cast<Instant::duration>(std::chrono::duration<double>(seconds)));
}

double seconds_of(Instant instant) {
  return std::chrono::duration<double>(instant.time_since_epoch()).count();
}

}  // namespace

VirtualHost::VirtualHost(World& world, HostNumber number, Address address, RunInfo run,
                         std::optional<unsigned> slots)
    : world_(world),
      number_(number),
      address_(std::move(address)),
      id_(HostId::parse(fmt::format("{:032x}", number + 1)).value()),
      run_(std::move(run)),
      slots_(slots),
      pieces_(run_.cut.pieces()),
      spool_(run_.cut.pieces()),
      tree_(run_.cut.pieces()),
      payload_(run_.cut.pieces()) {}

Instant VirtualHost::now() const { return instant_of(world_.now()); }

template <typename Call, typename Deliver>
void VirtualHost::ask(const std::string& verb, Call call, Deliver deliver) {
  const auto fate = world_.fate_of_call();
  if (fate == CallFate::lost) return lose_answer();
  std::optional<decltype(call(std::declval<RedisCoordinator&>()))> outcome;
  double answered = 0;
  try {
    answered = world_.redis().call(verb, world_.now(), [&](RedisCoordinator& redis) {
      outcome = call(redis);
      if (fate == CallFate::repeated) outcome = call(redis);
    });
  } catch (const Failure&) {
    if (!world_.has_faults()) throw;
    return stop(kNextTick);  // Redis has lost something that only the master repairs.
  }
  if (fate == CallFate::answer_lost) {
    world_.deliver_wakes();
    return lose_answer();
  }
  then_ = [outcome = *std::move(outcome), deliver] { deliver(outcome); };
  world_.schedule(number_, World::Due::answer, answered);
  world_.deliver_wakes();
}

template <typename Call>
void VirtualHost::ask_puller(const std::string& verb, Call call) {
  ask(verb, call, [this](const auto& outcome) { puller_->on(outcome, now()); });
}

void VirtualHost::lose_answer() {
  then_ = [this] {
    if (puller_) {
      puller_->on(CallFailed{});
    } else {
      world_.schedule(number_, World::Due::join, world_.now() + kTickEvery);
    }
  };
  world_.schedule(number_, World::Due::answer, world_.now() + kCallTimeout);
}

void VirtualHost::answer() {
  if (is_dead_) return;
  std::exchange(then_, nullptr)();
  step();
}

void VirtualHost::join() {
  if (is_dead_) return;
  const auto wish = slots_ ? SeatWish::none : SeatWish::wanted;
  ask(
      "join",
      [&](RedisCoordinator& redis) {
        return redis.join(address_, id_, Arrival::first_of_tick, wish, Duration::zero());
      },
      [this](const JoinOutcome& outcome) { joined(outcome); });
}

void VirtualHost::joined(const JoinOutcome& outcome) {
  const auto* const joined = std::get_if<Joined>(&outcome);
  if (joined == nullptr || joined->is_finished) {
    if (joined != nullptr) return revisit(*joined);
    // The run may be lost, and the origin begins it again.
    world_.schedule(number_, World::Due::join, world_.now() + kTickEvery);
  } else {
    begin(*joined);
  }
}

void VirtualHost::revisit(const Joined& joined) try {
  if (!finished_at_) finished_at_ = world_.now();
  const bool is_its = run_.fingerprint == joined.run.fingerprint && is_published_;
  run_.id = joined.run.id;
  if (is_its && (joined.suspicion == Suspicion::none || clears_suspicion())) {
    return world_.schedule(number_, World::Due::join, world_.now() + kTickEvery);
  }
  leave(Retreat::altogether, "");
  begin(joined);
} catch (const Failure&) {
  stop(kNextTick);  // Redis has lost something that only the master repairs.
}

bool VirtualHost::clears_suspicion() {
  std::vector<PieceNumber> here;
  PieceSet good(run_.cut.pieces());
  for (PieceNumber piece = 0; piece < run_.cut.pieces(); ++piece) {
    if (spool_[piece]) here.push_back(piece);
  }
  bool is_any_bad = false;
  world_.redis().call("digests", world_.now(), [&](RedisCoordinator& redis) {
    for (const auto& staged : redis.digests(run_.id, here)) {
      if (spool_[staged.piece] == staged.digest) {
        good.insert(staged.piece);
      } else {
        is_any_bad = true;
      }
    }
  });
  if (is_any_bad) return false;
  const auto usual = run_.has_trees ? kSlotsBesideTrees : default_slots(run_.cut);
  const auto slots = slots_.value_or(usual);
  world_.redis().call("report", world_.now(), [&](RedisCoordinator& redis) {
    static_cast<void>(
        redis.report(run_.id, address_, {good, run_.cut.pieces()}, slots, Clearance::cleared));
  });
  world_.deliver_wakes();
  return true;
}

// Every piece on the disk is a candidate.
void VirtualHost::begin(const Joined& joined) {
  if (run_.fingerprint != joined.run.fingerprint) {
    spool_.assign(spool_.size(), std::nullopt);
    has_manifest_ = false;
  }
  run_ = joined.run;
  finished_at_.reset();
  stopped_for_.reset();
  tree_.assign(tree_.size(), std::nullopt);
  incoming_.clear();
  attempts_.clear();
  judging_.clear();
  pieces_ = PieceTable(run_.cut.pieces(), PieceState::unknown);
  for (PieceNumber piece = 0; piece < pieces_.size(); ++piece) {
    const bool is_here = spool_[piece] || payload_[piece];
    pieces_.move(piece, is_here ? PieceState::candidate : PieceState::wanted);
  }
  is_completed_ = is_published_ = false;
  puller_.emplace(pieces_,
                  Puller::Terms{.cut = run_.cut,
                                .has_trees = joined.run.has_trees,
                                .delivery = Delivery::pulled,
                                .slots = slots_,
                                .make_token = [this] { return world_.make_token(); }},
                  joined.seat, now());
}

void VirtualHost::revive() {
  ++life_;
  is_dead_ = false;
  is_listening_ = was_woken_ = false;
  scheduled_ = -1;
  then_ = nullptr;
  puller_.reset();
  join();
}

void VirtualHost::stop(double pause) {
  world_.drop_pulls(number_);
  if (puller_) {
    stopped_for_ = pause;
  } else {
    world_.schedule(number_, World::Due::join, world_.now() + pause);
  }
}

void VirtualHost::step() {
  if (is_dead_ || !puller_ || then_ || finished_at_) return;
  if (is_listening_ && (was_woken_ || world_.now() >= listens_until_)) {
    is_listening_ = false;
    const bool is_woken = std::exchange(was_woken_, false);
    puller_->on(is_woken ? Listening::woken : Listening::lapsed, now());
  }
  puller_->on(disk());
  while (!finished_at_ && !stopped_for_) {
    const auto act = puller_->next(now());
    if (!act) break;
    std::visit([this](const auto& known) { perform(known); }, *act);
    if (puller_) puller_->on(disk());
  }
  if (finished_at_ || stopped_for_) {
    if (finished_at_ && !world_.has_faults()) return;
    puller_.reset();
    const double pause = stopped_for_.value_or(kTickEvery);
    return world_.schedule(number_, World::Due::join, world_.now() + pause);
  }
  if (then_) return;
  if (!is_listening_) listen();
  schedule_next();
}

// The virtual disk writes and publishes at once.
DiskState VirtualHost::disk() const {
  using Step = DiskState::Step;
  const bool is_gathered = has_manifest_ && pieces_.in_place().is_complete();
  const auto step = is_published_   ? Step::published
                    : is_completed_ ? Step::completed
                    : is_gathered   ? Step::gathered
                                    : Step::gathering;
  return {.step = step, .has_manifest = has_manifest_, .is_reverifying = false, .undelivered = ""};
}

// --- Calls of the coordinator ---

void VirtualHost::perform(const AskClaim& act) {
  ask_puller("claim", [&](RedisCoordinator& redis) {
    auto outcome = redis.claim(run_.id, address_, holdings(), act.want);
    if (const auto* const claimed = std::get_if<Claimed>(&outcome)) {
      world_.claim_granted(number_, claimed->claim);
    }
    return outcome;
  });
}

void VirtualHost::perform(const CompleteClaim& act) {
  world_.claim_ended(act.token);
  ask_puller("complete", [&](RedisCoordinator& redis) {
    auto outcome =
        redis.complete(run_.id, address_, act.token, act.end, act.detail, holdings(), act.next);
    if (const auto* const claimed = std::get_if<Claimed>(&outcome)) {
      world_.claim_granted(number_, claimed->claim);
    }
    return outcome;
  });
}

void VirtualHost::perform(const Report& act) {
  ask_puller("report", [&](RedisCoordinator& redis) {
    return redis.report(run_.id, address_, holdings(), act.slots, act.clearance);
  });
}

void VirtualHost::perform(const ReportFromSeat& act) {
  ask_puller("seat", [&](RedisCoordinator& redis) {
    return redis.report_from_seat(run_.id, address_, holdings(), act.slots, act.clearance,
                                  pieces_.announced(), act.feedback);
  });
}

void VirtualHost::perform(const Renew& act) {
  ask_puller("renew",
             [&](RedisCoordinator& redis) { return redis.renew(run_.id, address_, act.tokens); });
}

void VirtualHost::perform(const CheckRun&) {
  ask_puller("state", [&](RedisCoordinator& redis) { return RunChecked{redis.state_of(run_.id)}; });
}

void VirtualHost::perform(const Finish& act) {
  OwnAccount account;
  account.shares.assign(kShares, {run_.origin, 1});
  world_.redis().call("account", world_.now(), [&](RedisCoordinator& redis) {
    redis.give_account(run_.id, address_, account);
  });
  ask_puller("finish", [&](RedisCoordinator& redis) {
    return redis.finish(run_.id, address_, run_.manifest, holdings(), act.slots);
  });
}

void VirtualHost::perform(const AskDigests& act) {
  ask_puller("digests",
             [&](RedisCoordinator& redis) { return Digests{redis.digests(run_.id, act.pieces)}; });
}

void VirtualHost::perform(const Doubt&) { throw std::runtime_error("a host doubts a delivery"); }

// The tree may share its blocks with a rotten piece (Placement::lose).
void VirtualHost::perform(const Reverify&) {
  for (const auto piece : pieces_.servable().members()) {
    if (spool_[piece] != pieces_.digest(piece)) return give_up("a piece has rotted");
  }
}

bool VirtualHost::rot(PieceNumber piece, const Digest& content) {
  if (!spool_[piece]) return false;
  spool_[piece] = content;
  return true;
}

// --- Pulls ---

void VirtualHost::perform(const StartPull& act) {
  ++pulls_started_;
  if (act.assignment.attempt == Attempt::second) ++second_attempts_;
  const auto id = world_.start_pull(number_, act.assignment);
  attempts_[id] = act.assignment.attempt;
  puller_->on(PullStarted{id}, now());
}

void VirtualHost::perform(const EndPull& act) { world_.end_pull(number_, act.id); }

void VirtualHost::file_arrived(TransferId id, std::optional<PieceNumber> piece,
                               const std::optional<Digest>& content) {
  if (!puller_) return;
  if (piece) incoming_[{attempts_[id], *piece}] = content;
  puller_->on(FileArrived{id, piece ? piece_name(*piece) : "manifest", 0}, now());
  step();
}

void VirtualHost::bytes_moved(TransferId id) {
  if (!puller_) return;
  puller_->on(BytesMoved{id}, now());
  step();
}

void VirtualHost::pull_ended(TransferId id, PullEnd end) {
  if (!puller_) return;
  puller_->on(TransferEnded{id, end, end == PullEnd::good ? "" : "the connection was reset"});
  step();
}

// --- The disk ---

void VirtualHost::perform(const JudgeManifest&) {
  has_manifest_ = true;
  puller_->on(Judgement{std::nullopt, Verdict::good});
}

void VirtualHost::perform(const JudgePiece& act) {
  judging_.insert_or_assign(act.piece.piece, Judged{act.piece, act.attempt});
  world_.judge(number_, act.piece.piece);
}

void VirtualHost::piece_judged(PieceNumber piece) {
  if (is_dead_ || !puller_ || pieces_.state(piece) != PieceState::judging) return;
  const auto& judged = judging_.at(piece);
  const auto& content = incoming_[{judged.attempt, piece}];
  if (content != judged.piece.digest) {
    puller_->on(Judgement{piece, Verdict::bad});
    return step();
  }
  spool_[piece] = tree_[piece] = content;
  for (const auto state : {PieceState::verified, PieceState::placing, PieceState::in_place}) {
    pieces_.move(piece, state);
  }
  if (!puller_->on(Judgement{piece, Verdict::good})) {
    throw std::runtime_error("a piece that no pull awaited");
  }
  step();
}

void VirtualHost::perform(const Publish&) {
  payload_ = tree_;
  is_published_ = true;
}

// --- The rest ---

void VirtualHost::perform(const StartProbe&) {
  world_.schedule(number_, World::Due::served, world_.now());
}

void VirtualHost::served() {
  if (is_dead_ || !puller_) return;
  puller_->on(Probed{std::nullopt});
  step();
}

// Its tick leaves, and pauses.
void VirtualHost::perform(const GiveUp& act) {
  if (!world_.do_hosts_die()) {
    throw std::runtime_error(address_.text() + " gives up: " + act.failure.what());
  }
  give_up(act.failure.what());
}

void VirtualHost::give_up(const std::string& reason) {
  leave(Retreat::claims_only, reason);
  stop(kFailurePause);
}

void VirtualHost::leave(Retreat retreat, const std::string& reason) {
  world_.redis().call("leave", world_.now(), [&](RedisCoordinator& redis) {
    redis.leave(run_.id, address_, retreat, reason);
  });
  world_.deliver_wakes();
}

void VirtualHost::perform(const Conclude& act) {
  if (act.how == Conclude::How::finished) {
    finished_at_ = world_.now();
  } else if (world_.has_faults()) {
    stop(0);
  } else {
    throw std::runtime_error("a host finds the run over");
  }
}

void VirtualHost::perform(const CheckCandidates&) {
  for (const auto piece : pieces_.in(PieceState::candidate)) {
    const auto digest = pieces_.digest(piece);
    if (!digest) continue;
    if (spool_[piece] == digest) {
      tree_[piece] = digest;
      for (const auto state : {PieceState::checking, PieceState::verified, PieceState::placing,
                               PieceState::in_place}) {
        pieces_.move(piece, state);
      }
      continue;
    }
    spool_[piece].reset();
    if (payload_[piece] == digest) {
      tree_[piece] = digest;
      pieces_.move(piece, PieceState::adopting);
      pieces_.move(piece, PieceState::adopted);
    } else {
      pieces_.move(piece, PieceState::wanted);
    }
  }
}

void VirtualHost::listen() {
  const auto [is_woken, answered] = world_.redis().listen(address_, world_.now());
  is_listening_ = true;
  was_woken_ = is_woken;
  const auto patience = static_cast<double>(puller_->patience().count());
  listens_until_ = is_woken ? answered : world_.now() + patience;
}

void VirtualHost::woken() {
  was_woken_ = true;
  step();
}

void VirtualHost::schedule_next() {
  auto due = listens_until_;
  if (const auto at = puller_->due(now()); at != Instant::max()) {
    due = std::min(due, seconds_of(at) + kRounding);
  }
  if (scheduled_ > world_.now() && scheduled_ <= due) return;
  scheduled_ = due;
  world_.schedule(number_, World::Due::step, due);
}

}  // namespace libsync::simulation
