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

// A piece is late if it needs this multiple of the usual time, and this much more. A second pull of
// it needs the usual time: ./tests/simulate --hosts 15 --uplink 1:100
constexpr int kLate = 3;
constexpr Duration kLateBy{500};

// Each claim that names a source outside --peers costs two calls.
constexpr std::chrono::seconds kPauseAfterUnusable{1};

// The source of a piece that one pull alone has in flight.
std::optional<Address> only_source_of(PieceNumber piece, const PieceTable& pieces,
                                      const Ledger& ledger) {
  if (pieces.state(piece) != PieceState::in_flight) return std::nullopt;
  auto sources = ledger.sources_of(piece);
  if (sources.size() != 1) return std::nullopt;
  return std::move(sources.front());
}

// The time after which a piece is late.
Duration late_after(const Situation& situation) {
  return kLate * situation.view.usual_piece + kLateBy;
}

}  // namespace

Claims::Claims(unsigned slots, Timers& timers, MakeToken make_token)
    : slots_(slots),
      timers_(timers),
      make_token_(std::move(make_token)),
      next_token_(make_token_()) {}

void Claims::started(TransferId id, Instant now) {
  pace_.started(id, asked_at_);
  pulls_[id] = {now, now};
}

void Claims::arrived(TransferId id, Instant now) {
  pace_.arrived(id, now);
  const auto found = pulls_.find(id);
  if (found == pulls_.end()) return;
  found->second.piece_since = now;
  moved(id, now);
}

void Claims::moved(TransferId id, Instant now) {
  const auto found = pulls_.find(id);
  if (found != pulls_.end()) silence_.moved(std::exchange(found->second.moved, now), now);
}

void Claims::over(const OverPull& pull, const Situation&) {
  pace_.ended(pull.id);
  pulls_.erase(pull.id);
  // The pieces that it did not bring can be claimed at once.
  if (pull.end != PullEnd::good) timers_.set(Timer::ask, Instant{});
}

std::optional<Act> Claims::pull(const Situation& situation) {
  for (auto& [id, pull] : pulls_) {
    if (pull.is_given_up || !silence_.is_silent(pull.moved, situation.now)) continue;
    pull.is_given_up = true;
    return EndPull{id, "has moved nothing while others did"};
  }
  return std::nullopt;
}

bool Claims::are_all_late(const Situation& situation) const {
  return std::all_of(pulls_.begin(), pulls_.end(), [&](const auto& pull) {
    return pull.second.piece_since + late_after(situation) <= situation.now;
  });
}

std::optional<Claims::Late> Claims::late_piece(const Situation& situation) const {
  const auto& ledger = situation.ledger;
  const bool is_usual_known = situation.view.usual_piece.count() > 0;
  if (!is_usual_known || !situation.has_spare_room) return std::nullopt;
  if (ledger.second_attempts() >= kSecondAttempts) return std::nullopt;
  std::optional<Late> latest;
  auto since = situation.now - late_after(situation);
  for (const auto& [id, pull] : pulls_) {
    if (latest ? pull.piece_since >= since : pull.piece_since > since) continue;
    for (const auto piece : ledger.awaited(id)) {
      auto source = only_source_of(piece, situation.pieces, ledger);
      if (!source) continue;
      latest = Late{piece, *std::move(source)};
      since = pull.piece_since;
      break;
    }
  }
  return latest;
}

// The moments at which a pull may become silent or late.
Instant Claims::due(const Situation& situation) const {
  auto due = Instant::max();
  for (const auto& [id, pull] : pulls_) {
    for (const auto moment : {Instant(pull.moved + silence_.patience()),
                              Instant(pull.piece_since + late_after(situation))}) {
      if (moment > situation.now) due = std::min(due, moment);
    }
  }
  return due;
}

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
  if (held > slots) return std::nullopt;
  auto unwanted = situation.pieces.unwanted();
  unwanted |= carried;
  const auto most = pieces_to_claim({.verified = situation.pieces.verified(),
                                     .claimable = situation.pieces.size() - unwanted.size(),
                                     .claims = held,
                                     .slots = slots,
                                     .start_in_pieces = pace_.start_in_pieces()});
  if (held < slots && (most > 0 || manifests == Manifests::one)) {
    return Want{next_token_, most, std::move(unwanted), std::nullopt};
  }
  // One second attempt may go beyond the slots, if late pulls occupy them all.
  if (held == slots && !are_all_late(situation)) return std::nullopt;
  const auto late = late_piece(situation);
  if (!late) return std::nullopt;
  PieceSet others(situation.pieces.size());
  for (PieceNumber piece = 0; piece < situation.pieces.size(); ++piece) {
    if (piece != late->piece) others.insert(piece);
  }
  return Want{next_token_, 1, std::move(others), late->source};
}

bool Claims::may_ask(Instant now) const {
  return timers_.is_due(Timer::ask, now) && timers_.is_due(Timer::back_off, now);
}

void Claims::asked(const Want& want, Instant now) {
  asked_at_ = now;
  is_asked_for_late_ = want.beside.has_value();
}

// If the first answer to a claim was lost, a stream may pull its pieces by now. Two pulls must not
// write into one file.
Act Claims::granted(const Claim& claim, PieceTable& pieces, const Ledger& ledger,
                    Manifests manifests) {
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
    if (named.contains(staged.piece)) continue;
    if (pieces.state(staged.piece) != PieceState::wanted) {
      if (!is_asked_for_late_) continue;
      const auto source = only_source_of(staged.piece, pieces, ledger);
      if (!source || *source == claim.source) continue;
      assignment.attempt = Attempt::second;
    }
    named.insert(staged.piece);
    assignment.pieces.push_back(staged);
  }
  // A claim without pieces is for the manifest.
  const bool is_for_manifest = claim.pieces.empty() && manifests == Manifests::one;
  if (!assignment.pieces.empty() || is_for_manifest) return StartPull{std::move(assignment)};
  return CompleteClaim{std::nullopt, claim.token, PullEnd::good, "", std::nullopt};
}

std::string Claims::fault_of(const Unusable& claim) {
  return fmt::format(
      "the source '{}' is no address within --peers: correct --peers, or find out "
      "what wrote it into Redis",
      claim.source);
}

CompleteClaim Claims::unusable(const Unusable& claim, Instant now) {
  next_token_ = make_token_();
  timers_.set(Timer::back_off, now + kPauseAfterUnusable);
  return {std::nullopt, claim.token, PullEnd::refused, fault_of(claim), std::nullopt};
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
