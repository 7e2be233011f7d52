#include "virtual_host.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "os/random.h"

namespace libsync::simulation {
namespace {

// An Instant is whole nanoseconds.
constexpr double kRounding = 1e-8;

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
      run_(std::move(run)),
      slots_(slots),
      pieces_(run_.cut.pieces()) {}

Instant VirtualHost::now() const { return instant_of(world_.now()); }

template <typename Call, typename Deliver>
void VirtualHost::ask(const std::string& verb, Call call, Deliver deliver) {
  std::optional<decltype(call(std::declval<RedisCoordinator&>()))> outcome;
  const double answered = world_.redis().call(
      verb, world_.now(), [&](RedisCoordinator& redis) { outcome = call(redis); });
  then_ = [outcome = *std::move(outcome), deliver] { deliver(outcome); };
  world_.schedule(number_, World::Due::answer, answered);
  world_.deliver_wakes();
}

template <typename Call>
void VirtualHost::ask_puller(const std::string& verb, Call call) {
  ask(verb, call, [this](const auto& outcome) { puller_->on(outcome, now()); });
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
        return redis.join(address_, Arrival::first_of_tick, wish, Duration::zero());
      },
      [this](const JoinOutcome& outcome) {
        const auto* const joined = std::get_if<Joined>(&outcome);
        if (joined == nullptr) throw std::runtime_error("there is no run to join");
        puller_.emplace(pieces_,
                        Puller::Terms{.cut = run_.cut,
                                      .has_trees = joined->run.has_trees,
                                      .delivery = Delivery::pulled,
                                      .slots = slots_,
                                      .make_token = random_name<Token>},
                        joined->seat, now());
      });
}

void VirtualHost::step() {
  if (is_dead_ || !puller_ || then_ || finished_at_) return;
  if (is_listening_ && (was_woken_ || world_.now() >= listens_until_)) {
    is_listening_ = false;
    const bool is_woken = std::exchange(was_woken_, false);
    puller_->on(is_woken ? Listening::woken : Listening::lapsed, now());
  }
  puller_->on(disk());
  while (!finished_at_) {
    const auto act = puller_->next(now());
    if (!act) break;
    std::visit([this](const auto& known) { perform(known); }, *act);
    puller_->on(disk());
  }
  if (then_ || finished_at_) return;
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
      world_.claim_granted(claimed->claim);
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
      world_.claim_granted(claimed->claim);
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
  ask_puller("finish", [&](RedisCoordinator& redis) {
    return redis.finish(run_.id, address_, run_.manifest, holdings(), act.slots);
  });
}

// Virtual hosts begin with nothing: no candidate, no delivery and no suspicion.
void VirtualHost::perform(const AskDigests&) {
  throw std::runtime_error("a host asks for digests");
}
void VirtualHost::perform(const Doubt&) { throw std::runtime_error("a host doubts a delivery"); }
void VirtualHost::perform(const Reverify&) {
  throw std::runtime_error("a host reverifies its spool");
}

// --- Pulls ---

void VirtualHost::perform(const StartPull& act) {
  ++pulls_started_;
  if (act.assignment.attempt == Attempt::second) ++second_attempts_;
  puller_->on(PullStarted{world_.start_pull(number_, act.assignment)}, now());
}

void VirtualHost::perform(const EndPull& act) { world_.end_pull(number_, act.id); }

void VirtualHost::file_arrived(TransferId id, const std::string& name) {
  puller_->on(FileArrived{id, name, 0}, now());
  step();
}

void VirtualHost::bytes_moved(TransferId id) {
  puller_->on(BytesMoved{id}, now());
  step();
}

void VirtualHost::pull_ended(TransferId id, PullEnd end) {
  puller_->on(TransferEnded{id, end, end == PullEnd::good ? "" : "the connection was reset"});
  step();
}

// --- The disk ---

void VirtualHost::perform(const JudgeManifest&) {
  has_manifest_ = true;
  puller_->on(Judgement{std::nullopt, Verdict::good});
}

void VirtualHost::perform(const JudgePiece& act) { world_.judge(number_, act.piece.piece); }

void VirtualHost::piece_judged(PieceNumber piece) {
  if (is_dead_) return;
  for (const auto state : {PieceState::verified, PieceState::placing, PieceState::in_place}) {
    pieces_.move(piece, state);
  }
  if (!puller_->on(Judgement{piece, Verdict::good})) {
    throw std::runtime_error("a piece that no pull awaited");
  }
  step();
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

void VirtualHost::perform(const GiveUp& act) {
  throw std::runtime_error(address_.text() + " gives up: " + act.failure.what());
}

void VirtualHost::perform(const Conclude& act) {
  if (act.how != Conclude::How::finished) throw std::runtime_error("a host finds the run over");
  finished_at_ = world_.now();
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
