#include "minion/trees.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace libsync {
namespace {

// ./tests/simulate --hosts 1000 chose the constants, unless another command is there. One without a
// command is a guard, longer than anything that happens in an undisturbed run.

// A pull names as many pieces as come in this time, so that fast links need few starts.
constexpr Duration kPullLasts{1000};
// The most pieces of a pull. If the parent dies, they are missing until the pull has ended.
constexpr PieceNumber kMostPieces = 16;

// The pause after a parent that had nothing: one part in so many of the time since its last piece.
// A piece comes late by that part at most.
constexpr int kWaitPart = 4;
constexpr Duration kLeastWait{20};
constexpr Duration kMostWait{500};
// The longest pause of large pieces: one part in so many of the time of a piece.
// ./tests/simulate --hosts 200 --bytes 250e9
constexpr int kMostWaitPart = 16;

// The weight of a new measurement in the average.
constexpr int kWeightPercent = 30;

// A parent is slow if its pieces take this multiple of the usual time while other trees advance. A
// parent that serves a claim beside its children takes twice the usual time.
constexpr int kSlower = 3;
// The host gives up a pull that brings nothing for this multiple of the usual time of a piece, and
// at least the second. rsync itself waits a minute for a host that froze. If no pull brings
// anything, the network is at fault and comes back.
constexpr int kGivenUp = 4;
constexpr Duration kLeastGivenUp{1'500};
// The multiple doubles with each pull given up, until a piece comes: the whole network may be slow
// by now.
constexpr unsigned kGivenUpDoublings = 5;
// Another pull has moved if it brought something this long after the silent one did last.
constexpr int kMovedAfter = 2;
constexpr Duration kLeastMovedAfter{500};
// While a tree fills, late hosts catch up as fast as their parents' links allow. So a host reports
// no parent as slow in this time after it joined: ./tests/simulate --hosts 10000
constexpr Duration kGrace{1'500};
// The pause after a slow parent.
constexpr Duration kRest{5'000};

// A tree with a failing or slow parent is adrift if it is this many pieces behind, or has not moved
// for this long. A parent that is merely empty is not at fault: Redis replaces the host
// further up. ./tests/simulate --hosts 1000 --die 10:0.5
constexpr PieceNumber kLag = 12;
constexpr Duration kStill{3'000};
constexpr int kStillInPieces = 8;
// Any tree that has not moved for this long is adrift.
constexpr Duration kStillAnyway{15'000};

// The most pieces that a stream pulls of a tree that is not its own.
// ./tests/simulate --hosts 100 --slow 5:10
constexpr PieceNumber kMostToHelp = 4;

// Interval at which a host seeks trees that are adrift, if nothing happens.
constexpr Duration kPoll{500};

// The pause after a parent that failed. It doubles.
constexpr Duration kBackOff{5'000};
constexpr unsigned kBackOffDoublings = 4;

ParentFeedback slow(const Address& parent) {
  return {parent, ParentFeedback::Kind::slow, PullEnd::good, ""};
}

}  // namespace

Trees::Trees(PieceNumber pieces, Instant now) : pieces_(pieces), came_(now), arrived_(now) {}

void Trees::seated(const Seat& seat) {
  has_seat_ = true;
  poll_short_ = seat.poll_short;
  poll_long_ = seat.poll_long;
  streams_.resize(seat.parents.size(), Stream{.not_before = came_, .moved = came_});
  for (std::size_t tree = 0; tree < streams_.size(); ++tree) {
    auto& stream = streams_[tree];
    if (stream.parent == seat.parents[tree]) continue;
    stream.parent = seat.parents[tree];
    if (stream.pull) left_.push_back(*std::exchange(stream.pull, std::nullopt));
    stream.failures = 0;
    stream.not_before = came_;
    stream.piece = Duration{0};
    stream.given_up = 0;
  }
}

void Trees::reported() {
  feedback_.clear();
  is_woken_ = false;
}

std::optional<Act> Trees::report(const Situation& situation) {
  const bool is_due =
      situation.clearance == Clearance::cleared || situation.now >= report_due(situation);
  if (!is_due) return std::nullopt;
  return ReportFromSeat{situation.offered, situation.clearance, feedback_};
}

Instant Trees::report_due(const Situation& situation) const {
  if (!situation.is_served) return Instant::max();
  if (is_woken_) return situation.reported_at;
  const bool is_soon = !feedback_.empty() || is_urgent(situation.pieces);
  return situation.reported_at + (is_soon ? poll_short_ : std::max(poll_short_, poll_long_));
}

bool Trees::is_urgent(const PieceTable& pieces) const {
  if (!has_seat_) return true;
  const auto& known = pieces.announced();
  const auto& unwanted = pieces.unwanted();
  std::vector<bool> has_work(streams_.size(), known.is_complete());
  for (std::size_t tree = 0; tree < streams_.size(); ++tree) {
    const auto& stream = streams_[tree];
    if (!stream.parent || stream.failures > 0) return true;
    for (auto piece = tree; piece < pieces_ && !has_work[tree]; piece += streams_.size()) {
      const auto number = static_cast<PieceNumber>(piece);
      has_work[tree] = known.contains(number) && !unwanted.contains(number);
    }
  }
  return std::find(has_work.begin(), has_work.end(), false) != has_work.end();
}

PieceNumber Trees::most_pieces(const Stream& stream) const {
  if (stream.piece.count() == 0) return 1;
  return static_cast<PieceNumber>(
      std::clamp<Duration::rep>(kPullLasts / stream.piece, 1, kMostPieces));
}

std::vector<StagedPiece> Trees::next_of(PieceNumber tree, PieceNumber most,
                                        const PieceTable& pieces) const {
  std::vector<StagedPiece> next;
  const auto trees = static_cast<PieceNumber>(streams_.size());
  for (PieceNumber piece = tree; piece < pieces_ && next.size() < most; piece += trees) {
    if (pieces.unwanted().contains(piece)) continue;
    const auto digest = pieces.digest(piece);
    if (!digest) break;
    next.push_back({piece, *digest});
  }
  return next;
}

std::optional<Act> Trees::pull(const Situation& situation) {
  if (auto act = give_up(situation)) return act;
  return next_pull(situation);
}

std::optional<Act> Trees::next_pull(const Situation& situation) {
  const auto left = missing(situation.pieces.unwanted());
  for (const auto tree : best_first()) {
    const auto& stream = streams_[tree];
    if (!stream.parent || stream.pull || situation.now < stream.not_before) continue;
    auto most = most_pieces(stream);
    auto helped = tree;
    if (left[tree] == 0) {
      most = std::min(most, kMostToHelp);
      const auto furthest = std::max_element(left.begin(), left.end());
      helped = static_cast<PieceNumber>(furthest - left.begin());
    }
    auto pieces = next_of(helped, most, situation.pieces);
    if (pieces.empty()) continue;
    starting_ = tree;
    return StartPull{{*stream.parent, std::move(pieces), std::nullopt, Manifests::none}};
  }
  return std::nullopt;
}

std::vector<PieceNumber> Trees::best_first() const {
  std::vector<PieceNumber> trees(streams_.size());
  std::iota(trees.begin(), trees.end(), PieceNumber{0});
  std::stable_sort(trees.begin(), trees.end(), [&](PieceNumber one, PieceNumber other) {
    return streams_[one].given_up < streams_[other].given_up;
  });
  return trees;
}

void Trees::started(TransferId id, Instant now) {
  auto& stream = streams_.at(starting_.value());
  stream.pull = Pull{id, *stream.parent, 0, now, now, now, std::min(given_up_, kGivenUpDoublings)};
  starting_.reset();
}

void Trees::arrived(TransferId id, Instant now) {
  arrived_ = now;
  given_up_ = 0;
  moved(id, now);
  if (auto* const pull = pull_of(id)) {
    ++pull->brought;
    pull->brought_at = now;
  }
}

void Trees::moved(TransferId id, Instant now) {
  auto* const pull = pull_of(id);
  if (pull != nullptr) silence_.moved(std::exchange(pull->moved, now), now);
}

Trees::Pull* Trees::pull_of(TransferId id) {
  for (auto& pull : left_) {
    if (pull.id == id) return &pull;
  }
  for (auto& stream : streams_) {
    if (stream.pull && stream.pull->id == id) return &*stream.pull;
  }
  return nullptr;
}

std::optional<Act> Trees::give_up(const Situation& situation) {
  for (std::size_t tree = 0; tree < streams_.size(); ++tree) {
    auto& stream = streams_[tree];
    if (!stream.pull || !is_hopeless(*stream.pull, situation.now)) continue;
    if (lags(situation.pieces.in_place())[tree] > 1) {
      feedback_.push_back(slow(stream.pull->parent));
    }
    left_.push_back(*std::exchange(stream.pull, std::nullopt));
    stream.not_before = situation.now + kRest;
    ++stream.given_up;
    ++given_up_;
  }
  for (auto& pull : left_) {
    if (pull.is_given_up || !is_hopeless(pull, situation.now)) continue;
    pull.is_given_up = true;
    return EndPull{pull.id, "brought nothing while others did"};
  }
  return std::nullopt;
}

Instant Trees::judges_from() const { return came_ + kGrace + 2 * poll_short_; }

bool Trees::is_hopeless(const Pull& pull, Instant now) const {
  return silence_.is_silent(pull.moved, now) || brings_nothing(pull, now);
}

bool Trees::brings_nothing(const Pull& pull, Instant now) const {
  if (now < judges_from() || now < pull.brought_at + kLeastGivenUp) return false;
  const auto usual = usual_piece();
  const auto longest = kGivenUp * usual * (1U << pull.doublings);
  if (usual.count() == 0 || now < pull.brought_at + longest) return false;
  return arrived_ > pull.brought_at + std::max(kLeastMovedAfter, kMovedAfter * usual) ||
         std::none_of(streams_.begin(), streams_.end(), [&](const auto& stream) {
           return stream.pull && stream.pull->parent != pull.parent;
         });
}

void Trees::over(const OverPull& over, const Situation& situation) {
  std::erase_if(left_, [&](const Pull& pull) { return pull.id == over.id; });
  for (std::size_t tree = 0; tree < streams_.size(); ++tree) {
    auto& stream = streams_[tree];
    if (!stream.pull || stream.pull->id != over.id) continue;
    return note_end(stream, lags(situation.pieces.in_place())[tree], over, situation.now);
  }
}

void Trees::note_end(Stream& stream, PieceNumber lag, const OverPull& over, Instant now) {
  using Kind = ParentFeedback::Kind;
  const auto pull = *std::exchange(stream.pull, std::nullopt);
  if (pull.brought > 0) {
    stream.moved = now;
    stream.given_up = 0;
  }
  if (over.end == PullEnd::busy) {
    stream.not_before = now + kMostWait;
    return;
  }
  if (over.end != PullEnd::good) {
    stream.not_before = now + kBackOff * (1U << std::min(stream.failures, kBackOffDoublings));
    ++stream.failures;
    if (over.end != PullEnd::local) {
      feedback_.push_back({pull.parent, Kind::failing, over.end, over.detail});
    }
    return;
  }
  if (pull.brought == 0) {
    const auto wait = std::chrono::duration_cast<Duration>(now - stream.moved) / kWaitPart;
    const auto most = std::max<Duration>(kMostWait, usual_piece() / kMostWaitPart);
    stream.not_before = now + std::clamp(wait, kLeastWait, most);
    return;
  }
  const auto piece = std::chrono::duration_cast<Duration>(now - pull.began) / pull.brought;
  const bool is_first = stream.piece.count() == 0;
  stream.piece =
      is_first ? piece : (piece * kWeightPercent + stream.piece * (100 - kWeightPercent)) / 100;
  const bool had_failed = std::exchange(stream.failures, 0) > 0;
  if (now >= judges_from() && is_slow(stream, lag)) {
    stream.not_before = now + kRest;
    feedback_.push_back(slow(pull.parent));
  } else if (had_failed) {
    feedback_.push_back({pull.parent, Kind::good, PullEnd::good, ""});
  }
}

std::vector<PieceNumber> Trees::missing(const PieceSet& there) const {
  std::vector<PieceNumber> missing(streams_.size(), 0);
  if (missing.empty()) return missing;
  for (PieceNumber piece = 0; piece < pieces_; ++piece) {
    if (!there.contains(piece)) ++missing[piece % missing.size()];
  }
  return missing;
}

std::vector<PieceNumber> Trees::lags(const PieceSet& in_place) const {
  auto lags = missing(in_place);
  if (lags.empty()) return lags;
  const auto least = *std::min_element(lags.begin(), lags.end());
  for (auto& lag : lags) lag -= least;
  return lags;
}

Duration Trees::usual_piece() const {
  std::vector<Duration> all;
  for (const auto& stream : streams_) {
    if (stream.piece.count() > 0) all.push_back(stream.piece);
  }
  if (all.empty()) return Duration{0};
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
  std::nth_element(all.begin(), middle, all.end());
  return *middle;
}

bool Trees::is_slow(const Stream& stream, PieceNumber lag) const {
  return lag > 1 && stream.piece > kSlower * usual_piece();
}

bool Trees::is_adrift(const Stream& stream, PieceNumber lag, Instant now) const {
  const auto still = now - stream.moved;
  if (stream.failures == 0 && !is_slow(stream, lag)) return still > kStillAnyway;
  return lag >= kLag || still > std::max(kStill, kStillInPieces * usual_piece()) + 2 * poll_short_;
}

PieceSet Trees::carried(const Situation& situation) const {
  PieceSet carried(pieces_);
  const auto now = situation.now;
  const auto lag = lags(situation.pieces.in_place());
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
    if (!has_seat_ || (!is_carried.empty() && is_carried[piece % is_carried.size()])) {
      carried.insert(piece);
    }
  }
  return carried;
}

Instant Trees::due(const Situation& situation) const {
  const auto now = situation.now;
  auto due = left_.empty() ? Instant::max() : now + kPoll;
  for (const auto& stream : streams_) {
    if (!stream.pull && stream.not_before > now) due = std::min(due, stream.not_before);
    if (stream.pull) due = std::min<Instant>(due, now + kPoll);
  }
  const auto report = report_due(situation);
  return report > now ? std::min(due, report) : due;
}

}  // namespace libsync
