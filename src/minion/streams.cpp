#include "minion/streams.h"

#include <algorithm>
#include <utility>

namespace libsync {
namespace {

// The figures are those of ./tests/simulate, 1.747 GB to 1,000 hosts at 1 Gbit/s, starts of 30 ms,
// as multiples of the bound. What has no figure beside it was not tuned: mostly guards, to be
// longer than what happens while all goes well.

// A pull names as many pieces as come in this time, so that starts, of 30 ms, are few where links
// are fast …
constexpr Duration kPullLasts{1000};
// … but no more than this: what is asked of a parent that dies is lost for as long.
constexpr PieceNumber kMostPieces = 16;

// A parent that had nothing is asked again after a part of the time since it last had something: a
// piece is late by that part at most, and parents with nothing to give are left alone. A quarter,
// a half and all of it gave 1.14, 1.15 and 1.17, with 427, 416 and 357 runs of rsync a host
// (at a time when all of it took 0.05 more).
constexpr int kWaitPart = 4;
constexpr Duration kLeastWait{20};
constexpr Duration kMostWait{500};
// … or, if that is more, this part of what a piece takes: 250 GB in pieces of 512 MiB to 200 hosts
// take 1.18 with 7,100 runs of rsync a host rather than 1.23 with 14,400, most of them for nothing.
constexpr int kMostWaitPart = 16;

// Of a new measurement in the average.
constexpr int kWeightPercent = 30;

// A parent is slow if a piece takes so many times as long as usual, while other trees go ahead:
// twice is what it takes from a parent that serves a claim beside.
constexpr int kSlower = 3;
// A pull that brings nothing for so long is not waited for to say so.
constexpr int kOverdue = 4;
constexpr Duration kLeastOverdue{500};
// One that brings nothing for so long is given up: a host that froze had its children wait for a
// minute, until rsync was ended for moving nothing. Not if all pulls bring nothing, though: then it
// is the network, which comes back.
constexpr int kGivenUp = 10;
constexpr Duration kLeastGivenUp{3'000};
// While a tree fills, whoever came late catches up as well as its parents' links let it: nobody is
// called slow so soon after coming, and later by those further down. (10,000 hosts had 38 set aside
// who were not slow; the last had it after 24.6 s, and with this after 21.5 s.)
constexpr Duration kGrace{1'500};
// A slow parent is left alone for a while: one piece that it holds is waited for by all who want
// it.
constexpr Duration kRest{5'000};

// What is claimed besides: from so many pieces behind, or after standing still for so long, with a
// parent that fails or is slow. (If it is merely empty, whoever is at fault is further up, and is
// replaced there. Claiming whatever was behind let a tenth that died take 2.4 rather than 1.2.)
constexpr PieceNumber kLag = 12;
constexpr Duration kStill{3'000};
constexpr int kStillInPieces = 8;
constexpr Duration kStillAnyway{15'000};

// A stream whose tree is done asks for so many pieces of the tree that is furthest behind. (Where
// 5 of 100 hosts are slow by ten, the others have all after 1.06 to 1.16 times as long as without
// them, in the middle 1.11, and after 1.17 to 1.34 where what is behind is claimed at the end. 1,
// 2, 8 and 16 are no better.)
constexpr PieceNumber kMostToHelp = 4;

// How often whether a tree is adrift is looked at, if nothing happens.
constexpr Duration kLook{500};

// Of a parent that failed; doubles.
constexpr Duration kBackOff{5'000};
constexpr unsigned kBackOffDoublings = 4;

Duration overdue_after(Duration usual) { return std::max(kLeastOverdue, kOverdue * usual); }

}  // namespace

Streams::Streams(PieceNumber pieces, Instant now)
    : pieces_(pieces), came_(now), arrived_(now), known_(pieces) {}

void Streams::follow(const Seat& place) {
  has_place_ = true;
  pause_ = place.poll_short;
  report_every_ = place.poll_long;
  streams_.resize(place.parents.size(), Stream{.not_before = came_, .moved = came_});
  for (std::size_t tree = 0; tree < streams_.size(); ++tree) {
    auto& stream = streams_[tree];
    if (stream.parent == place.parents[tree]) continue;
    stream.parent = place.parents[tree];
    if (stream.pull) left_.push_back(*std::exchange(stream.pull, std::nullopt));
    stream.failures = 0;
    stream.not_before = came_;
    stream.piece = Duration{0};
  }
  for (const auto& [piece, digest] : place.digests) {
    if (piece >= pieces_) continue;
    known_.insert(piece);
    digests_.insert_or_assign(piece, digest);
  }
}

bool Streams::is_urgent(const PieceSet& unwanted) const {
  if (!has_place_) return true;
  std::vector<bool> has_work(streams_.size(), known_.is_complete());
  for (std::size_t tree = 0; tree < streams_.size(); ++tree) {
    const auto& stream = streams_[tree];
    if (!stream.parent || stream.failures > 0) return true;
    for (auto piece = tree; piece < pieces_ && !has_work[tree]; piece += streams_.size()) {
      const auto number = static_cast<PieceNumber>(piece);
      has_work[tree] = known_.contains(number) && !unwanted.contains(number);
    }
  }
  return std::find(has_work.begin(), has_work.end(), false) != has_work.end();
}

Duration Streams::pause(const PieceSet& unwanted, const std::vector<ParentFeedback>& untold) const {
  if (is_urgent(unwanted) || !untold.empty()) return pause_;
  return std::max(pause_, report_every_);
}

PieceNumber Streams::most_pieces(const Stream& stream) const {
  if (stream.piece.count() == 0) return 1;
  return static_cast<PieceNumber>(
      std::clamp<Duration::rep>(kPullLasts / stream.piece, 1, kMostPieces));
}

std::vector<StagedPiece> Streams::next_of(PieceNumber tree, PieceNumber most,
                                          const PieceSet& unwanted) const {
  std::vector<StagedPiece> next;
  const auto trees = static_cast<PieceNumber>(streams_.size());
  for (PieceNumber piece = tree; piece < pieces_ && next.size() < most; piece += trees) {
    if (unwanted.contains(piece)) continue;
    if (!known_.contains(piece)) break;
    next.push_back({piece, digests_.at(piece)});
  }
  return next;
}

std::optional<StreamPull> Streams::next(const PieceSet& unwanted, Instant now) const {
  const auto left = missing(unwanted);
  for (PieceNumber tree = 0; tree < left.size(); ++tree) {
    const auto& stream = streams_[tree];
    if (!stream.parent || stream.pull || now < stream.not_before) continue;
    auto most = most_pieces(stream);
    auto helped = tree;
    if (left[tree] == 0) {
      most = std::min(most, kMostToHelp);
      const auto furthest = std::max_element(left.begin(), left.end());
      helped = static_cast<PieceNumber>(furthest - left.begin());
    }
    StreamPull pull{tree, *stream.parent, next_of(helped, most, unwanted)};
    if (!pull.pieces.empty()) return pull;
  }
  return std::nullopt;
}

void Streams::started(const StreamPull& pull, TransferId id, Instant now) {
  streams_.at(pull.tree).pull = Pull{id, pull.parent, 0, now, now};
}

void Streams::arrived(TransferId id, Instant now) {
  arrived_ = now;
  for (auto& pull : left_) {
    if (pull.id == id) pull.moved = now;
  }
  for (auto& stream : streams_) {
    if (!stream.pull || stream.pull->id != id) continue;
    ++stream.pull->brought;
    stream.pull->moved = now;
  }
}

std::vector<ParentFeedback> Streams::overdue(const PieceSet& in_place, Instant now) {
  std::vector<ParentFeedback> reports;
  for (std::size_t tree = 0; tree < streams_.size(); ++tree) {
    auto& pull = streams_[tree].pull;
    if (!pull || pull->is_overdue || now < overdue_at(*pull)) continue;
    if (lags(in_place)[tree] <= 1) continue;
    pull->is_overdue = true;
    reports.push_back({pull->parent, ParentFeedback::Kind::slow, PullEnd::good, ""});
  }
  return reports;
}

std::vector<TransferId> Streams::give_up(Instant now) {
  for (auto& stream : streams_) {
    if (!stream.pull || !is_hopeless(*stream.pull, now)) continue;
    left_.push_back(*std::exchange(stream.pull, std::nullopt));
    stream.not_before = now + kRest;
  }
  std::vector<TransferId> ids;
  for (auto& pull : left_) {
    if (pull.is_given_up || (!pull.is_overdue && !is_hopeless(pull, now))) continue;
    pull.is_given_up = true;
    ids.push_back(pull.id);
  }
  return ids;
}

Instant Streams::judges_from() const { return came_ + kGrace + 2 * pause_; }

Instant Streams::overdue_at(const Pull& pull) const {
  const auto usual = usual_piece();
  if (usual.count() == 0) return Instant::max();
  return std::max<Instant>(judges_from(), pull.moved + overdue_after(usual));
}

bool Streams::is_hopeless(const Pull& pull, Instant now) const {
  const auto usual = usual_piece();
  if (now < overdue_at(pull)) return false;
  if (now < pull.moved + std::max(kLeastGivenUp, kGivenUp * usual)) return false;
  const bool others_went_on = arrived_ > pull.moved + overdue_after(usual);
  return others_went_on || std::none_of(streams_.begin(), streams_.end(), [&](const auto& stream) {
           return stream.pull && stream.pull->parent != pull.parent;
         });
}

bool Streams::owns(TransferId id) const {
  return std::any_of(left_.begin(), left_.end(), [&](const Pull& pull) { return pull.id == id; }) ||
         std::any_of(streams_.begin(), streams_.end(),
                     [&](const Stream& stream) { return stream.pull && stream.pull->id == id; });
}

std::optional<ParentFeedback> Streams::ended(TransferId id, PullEnd end, const std::string& detail,
                                             const PieceSet& in_place, Instant now) {
  using Kind = ParentFeedback::Kind;
  std::erase_if(left_, [&](const Pull& pull) { return pull.id == id; });
  for (std::size_t tree = 0; tree < streams_.size(); ++tree) {
    auto& stream = streams_[tree];
    if (!stream.pull || stream.pull->id != id) continue;
    const auto pull = *stream.pull;
    stream.pull.reset();
    if (pull.brought > 0) stream.moved = now;
    if (end == PullEnd::busy) {
      stream.not_before = now + kMostWait;
      return std::nullopt;
    }
    if (end != PullEnd::good) {
      stream.not_before = now + kBackOff * (1U << std::min(stream.failures, kBackOffDoublings));
      ++stream.failures;
      return ParentFeedback{pull.parent, Kind::failing, end, detail};
    }
    if (pull.brought == 0) {
      const auto wait = std::chrono::duration_cast<Duration>(now - stream.moved) / kWaitPart;
      const auto most = std::max<Duration>(kMostWait, usual_piece() / kMostWaitPart);
      stream.not_before = now + std::clamp(wait, kLeastWait, most);
      return std::nullopt;
    }
    const auto piece = std::chrono::duration_cast<Duration>(now - pull.began) / pull.brought;
    const bool is_first = stream.piece.count() == 0;
    stream.piece =
        is_first ? piece : (piece * kWeightPercent + stream.piece * (100 - kWeightPercent)) / 100;
    const bool had_failed = std::exchange(stream.failures, 0) > 0;
    if (now >= judges_from() && is_slow(stream, lags(in_place)[tree])) {
      stream.not_before = now + kRest;
      return ParentFeedback{pull.parent, Kind::slow, end, ""};
    }
    if (had_failed) return ParentFeedback{pull.parent, Kind::good, end, ""};
  }
  return std::nullopt;
}

std::vector<PieceNumber> Streams::missing(const PieceSet& there) const {
  std::vector<PieceNumber> missing(streams_.size(), 0);
  if (missing.empty()) return missing;
  for (PieceNumber piece = 0; piece < pieces_; ++piece) {
    if (!there.contains(piece)) ++missing[piece % missing.size()];
  }
  return missing;
}

std::vector<PieceNumber> Streams::lags(const PieceSet& in_place) const {
  auto lags = missing(in_place);
  if (lags.empty()) return lags;
  const auto least = *std::min_element(lags.begin(), lags.end());
  for (auto& lag : lags) lag -= least;
  return lags;
}

Duration Streams::usual_piece() const {
  std::vector<Duration> all;
  for (const auto& stream : streams_) {
    if (stream.piece.count() > 0) all.push_back(stream.piece);
  }
  if (all.empty()) return Duration{0};
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
  std::nth_element(all.begin(), middle, all.end());
  return *middle;
}

bool Streams::is_slow(const Stream& stream, PieceNumber lag) const {
  return lag > 1 && stream.piece > kSlower * usual_piece();
}

bool Streams::is_adrift(const Stream& stream, PieceNumber lag, Instant now) const {
  const auto still = now - stream.moved;
  if (stream.failures == 0 && !is_slow(stream, lag)) return still > kStillAnyway;
  return lag >= kLag || still > std::max(kStill, kStillInPieces * usual_piece()) + 2 * pause_;
}

PieceSet Streams::carried(const PieceSet& in_place, Instant now) const {
  PieceSet carried(pieces_);
  const auto lag = lags(in_place);
  // No tree is furthest where nothing comes at all.
  const bool is_stranded =
      now - arrived_ > kStillAnyway ||
      std::all_of(streams_.begin(), streams_.end(), [](const auto& s) { return s.failures > 0; });
  std::vector<bool> is_carried(streams_.size());
  for (std::size_t tree = 0; tree < streams_.size(); ++tree) {
    const bool is_furthest = lag[tree] == 0 && !is_stranded;
    is_carried[tree] = is_furthest || !is_adrift(streams_[tree], lag[tree], now);
  }
  for (PieceNumber piece = 0; piece < pieces_; ++piece) {
    if (!has_place_ || (!is_carried.empty() && is_carried[piece % is_carried.size()]))
      carried.insert(piece);
  }
  return carried;
}

Instant Streams::next_due(Instant now) const {
  auto due = left_.empty() ? Instant::max() : now + kLook;
  for (const auto& stream : streams_) {
    if (!stream.pull && stream.not_before > now) due = std::min(due, stream.not_before);
    if (stream.pull) due = std::min<Instant>(due, now + kLook);
    if (stream.pull && !stream.pull->is_overdue) {
      if (const auto at = overdue_at(*stream.pull); at > now) due = std::min(due, at);
    }
  }
  return due;
}

}  // namespace libsync
