#include "minion/claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace libsync {
namespace {

// Shortest interval between two reports. A later report makes hosts wait for a source that exists.
// More reports cost Redis time and gain nothing: ./tests/simulate --hosts 195 --spread claims
constexpr Duration kReportEvery{100};

// Failures in a row after which this host gives up for this tick. Redis keeps a host away from a
// source that failed it, so four in a row are no accident. Refusals come at once, and mostly from
// all sources alike.
constexpr std::size_t kFailuresAtMost = 4;
constexpr std::size_t kRefusalsAtMost = 3;
constexpr Duration kFirstBackOff{200};

// Each claim that names a source outside --peers costs two calls.
constexpr std::chrono::seconds kPauseAfterUnusable{1};

}  // namespace

Claims::Claims(unsigned slots, Timers& timers, MakeToken make_token)
    : slots_(slots),
      timers_(timers),
      make_token_(std::move(make_token)),
      next_token_(make_token_()) {}

void Claims::started(TransferId id, Instant) { pace_.started(id, asked_at_); }

std::optional<Act> Claims::report(const Situation& situation) {
  const auto now = situation.now;
  if (situation.clearance == Clearance::cleared) timers_.set(Timer::report, now);
  if (!timers_.is_set(Timer::report) && situation.has_news) {
    timers_.set(Timer::report, std::max<Instant>(now, situation.reported_at + kReportEvery));
  }
  if (!timers_.is_due(Timer::report, now)) return std::nullopt;
  return Report{situation.offered, situation.clearance};
}

PieceSet Claims::carried(const Situation& situation) const {
  return PieceSet(situation.pieces.size());
}

std::optional<Want> Claims::want(const Situation& situation, std::size_t held, unsigned slots,
                                 const PieceSet& carried, Manifests manifests) const {
  if (held >= slots) return std::nullopt;
  auto unwanted = situation.pieces.unwanted();
  unwanted |= carried;
  const auto most = pieces_to_claim({.verified = situation.pieces.verified(),
                                     .claimable = situation.pieces.size() - unwanted.size(),
                                     .claims = held,
                                     .slots = slots,
                                     .start_in_pieces = pace_.start_in_pieces()});
  if (most == 0 && manifests == Manifests::none) return std::nullopt;
  return Want{next_token_, most, std::move(unwanted)};
}

bool Claims::may_ask(Instant now) const {
  return timers_.is_due(Timer::ask, now) && timers_.is_due(Timer::back_off, now);
}

// If the first answer to a claim was lost, a stream may pull its pieces by now. Two pulls must not
// write into one file.
Act Claims::granted(const Claim& claim, PieceTable& pieces, Manifests manifests) {
  next_token_ = make_token_();
  Assignment assignment{claim.source, {}, claim.token, manifests};
  PieceSet named(pieces.size());
  for (const auto& staged : claim.pieces) {
    if (staged.piece >= pieces.size()) {
      return GiveUp{
          Failure(ExitStatus::redis, Remedy::operator_acts,
                  fmt::format("Redis grants piece {}, and the run has {}: run the same version of "
                              "sync-fanout everywhere",
                              staged.piece, pieces.size()))};
    }
    pieces.announce(staged);
    const bool is_named = named.contains(staged.piece);
    if (is_named || pieces.state(staged.piece) != PieceState::wanted) continue;
    named.insert(staged.piece);
    assignment.pieces.push_back(staged);
  }
  // A claim without pieces is for the manifest.
  const bool is_for_manifest = claim.pieces.empty() && manifests == Manifests::one;
  if (!assignment.pieces.empty() || is_for_manifest) return StartPull{std::move(assignment)};
  return CompleteClaim{std::nullopt, claim.token, PullEnd::good, "", std::nullopt};
}

CompleteClaim Claims::unusable(const Unusable& claim, Instant now) {
  next_token_ = make_token_();
  timers_.set(Timer::back_off, now + kPauseAfterUnusable);
  return {std::nullopt, claim.token, PullEnd::refused,
          fmt::format("the source '{}' is no address within --peers: correct --peers, or find out "
                      "what wrote it into Redis",
                      claim.source),
          std::nullopt};
}

std::optional<Failure> Claims::failed(PullEnd end, const std::string& detail,
                                      std::size_t pulls_left, Instant now) {
  if (end != PullEnd::busy) ++failures_;
  const auto doublings = end == PullEnd::busy ? 0 : std::min(failures_, kFailuresAtMost);
  timers_.set(Timer::back_off, now + kFirstBackOff * (1U << doublings));
  if (end == PullEnd::local) return Failure(ExitStatus::local, Remedy::try_again, detail);
  const bool is_refused = end == PullEnd::refused;
  const auto most = is_refused ? kRefusalsAtMost : kFailuresAtMost;
  if (end == PullEnd::busy || failures_ < most || pulls_left > 0) return std::nullopt;
  return Failure(
      ExitStatus::no_source, is_refused ? Remedy::operator_acts : Remedy::try_again,
      fmt::format("no usable source, after {} failures in a row; the last: {}", failures_, detail));
}

}  // namespace libsync
