// Random walks: events come in any order, some are faults, and the puller must stay sound. Once the
// faults stop, it must finish.

#include <gmock/gmock.h>

#include <array>
#include <random>
#include <set>

#include "puller_fixture.h"

namespace libsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::host;
using test::staged;

constexpr int kSteps = 4'000;
constexpr PieceNumber kPieces = 12;

enum class Kind { claims, trees, pushed };

struct Walk {
  Kind kind;
  unsigned seed;
};

class PullerWalkTest : public test::PullerFixture, public testing::WithParamInterface<Walk> {
 protected:
  PullerWalkTest() : random_(GetParam().seed) { answers_reports_ = false; }

  [[nodiscard]] unsigned up_to(unsigned most) {
    return std::uniform_int_distribution<unsigned>(0, most)(random_);
  }
  [[nodiscard]] bool one_in(unsigned n) { return up_to(n - 1) == 0; }
  template <typename Container>
  [[nodiscard]] auto any_of(const Container& all) {
    return *std::next(all.begin(), up_to(static_cast<unsigned>(all.size()) - 1));
  }

  /// Begins a tick. An earlier tick has left files of the pieces in `kept`.
  void begin_tick(const PieceSet& kept, bool has_manifest) {
    const auto kind = GetParam().kind;
    ++ticks_;
    claims_.clear();
    awaited_.clear();
    seen_pull_ = 0;
    suspicion_ = Suspicion::none;
    run_state_ = is_faulty_ ? RunState::staging : RunState::staged;
    change_seat();
    const auto slots = kind == Kind::claims && one_in(2) ? std::optional(2U) : std::nullopt;
    most_claims_ = slots.value_or(default_slots(Cut{2, 1}));
    start({.pieces = kPieces,
           .state = kind == Kind::pushed ? PieceState::candidate : PieceState::unknown,
           .has_trees = kind == Kind::trees,
           .delivery = kind == Kind::pushed ? Delivery::pushed : Delivery::pulled,
           .slots = slots,
           .seat = kind == Kind::trees && one_in(2) ? std::optional(seat_) : std::nullopt});
    if (has_manifest) find_manifest();
    for (const auto piece : pieces_->in(PieceState::unknown)) {
      move(piece, kept.contains(piece) || one_in(8) ? PieceState::candidate : PieceState::wanted);
    }
  }
  void begin_anew() { begin_tick(PieceSet(kPieces), false); }

  void change_seat() {
    seat_ = {.poll_short = milliseconds(100), .poll_long = seconds(4), .parents = {}};
    for (unsigned tree = 0; tree < 3; ++tree) {
      seat_.parents.emplace_back(host(10 + tree + 10 * up_to(2)));
      if (is_faulty_ && one_in(6)) seat_.parents.back().reset();
    }
    for (PieceNumber piece = 0; piece < kPieces; ++piece) {
      if (!is_faulty_ || one_in(2)) seat_.digests.push_back(staged(piece));
    }
  }

  // --- Redis ---

  /// Answers the pending call. Some answers are lost, with or without their effect.
  void answer_call() {
    const bool is_lost = is_faulty_ && one_in(5);
    if (is_lost && one_in(2)) return lose_answer();
    const auto act = *call_;
    if (is_faulty_ && one_in(400) && !calls<AskDigests>() && !calls<Doubt>()) {
      return answer_stale();
    }
    if (const auto* const ask = std::get_if<AskClaim>(&act)) {
      answer_or_lose(claim(ask->want), is_lost);
    } else if (const auto* const completed = std::get_if<CompleteClaim>(&act)) {
      claims_.erase(completed->token);
      const ClaimOutcome none = Wait{view()};
      answer_or_lose(completed->next ? claim(*completed->next) : none, is_lost);
    } else if (const auto* const asked = std::get_if<AskDigests>(&act)) {
      Digests digests;
      for (const auto piece : asked->pieces) {
        if (!is_faulty_ || !one_in(4)) digests.pieces.push_back(staged(piece));
      }
      answer_or_lose(digests, is_lost);
    } else if (std::holds_alternative<Report>(act)) {
      note_clearance(std::get<Report>(act).clearance);
      answer_or_lose(ViewOutcome{view()}, is_lost);
    } else if (std::holds_alternative<ReportFromSeat>(act)) {
      note_clearance(std::get<ReportFromSeat>(act).clearance);
      if (is_faulty_ && one_in(4)) change_seat();
      answer_or_lose(SeatOutcome{Seated{view(), seat_}}, is_lost);
    } else if (std::holds_alternative<Renew>(act)) {
      answer_or_lose(RenewOutcome{Renewed{view()}}, is_lost);
    } else if (std::holds_alternative<CheckRun>(act)) {
      answer_or_lose(RunChecked{run_state_}, is_lost);
    } else if (std::holds_alternative<Finish>(act)) {
      const bool is_early = run_state_ == RunState::staging;
      answer_or_lose(is_early ? FinishOutcome::early : FinishOutcome::finished, is_lost);
    } else {
      answer_or_lose(Doubted{}, is_lost);
    }
  }

  template <typename Outcome>
  void answer_or_lose(const Outcome& outcome, bool is_lost) {
    if (is_lost) return lose_answer();
    answer(outcome);
  }

  void note_clearance(Clearance clearance) {
    if (clearance == Clearance::cleared) suspicion_ = Suspicion::none;
  }

  /// A known token gives the same claim again.
  ClaimOutcome claim(const Want& want) {
    const auto tokens = puller_->ledger().tokens();
    EXPECT_EQ(std::count(tokens.begin(), tokens.end(), want.token), 0) << "it is in use";
    if (const auto known = claims_.find(want.token); known != claims_.end()) {
      return Claimed{known->second, view()};
    }
    if (is_faulty_ && one_in(3)) return Wait{view(), seconds(1 + up_to(5))};
    if (is_faulty_ && one_in(40)) return Unusable{want.token, "evil"};
    Claim claim{want.token, host(2 + up_to(3)), {}};
    for (PieceNumber piece = 0; piece < kPieces; ++piece) {
      const bool is_granted = claim.pieces.size() < want.most_pieces && (!is_faulty_ || one_in(2));
      if (is_granted && !want.unwanted.contains(piece)) claim.pieces.push_back(staged(piece));
    }
    if (claim.pieces.empty() && want.most_pieces > 0) return Wait{view()};
    claims_.emplace(want.token, claim);
    return Claimed{claim, view()};
  }

  // --- Sources ---

  void step_pull() {
    const auto [id, assignment] = any_of(deeds_.running);
    if (is_faulty_ && one_in(6)) return end(id, any_of(kEnds));
    if (one_in(8)) return arrive(id, one_in(2) ? "p99999" : "manifest");
    if (assignment.pieces.empty()) return arrive(id, "manifest");
    const auto piece = any_of(assignment.pieces).piece;
    arrive(id, piece_name(piece));
  }

  void step_judge() {
    const auto piece = any_of(deeds_.judging);
    const auto verdict = any_of(kVerdicts);
    if (verdict == Verdict::good) forget_awaited(piece);
    judge(piece, verdict);
  }

  // --- The disk ---

  /// A thread has compared a candidate with its digest.
  void step_candidate(PieceNumber piece) {
    if (!pieces_->digest(piece) || deeds_.candidates_checked == 0) return;
    const bool is_delivered = GetParam().kind == Kind::pushed;
    pieces_->move(piece, PieceState::checking);
    if (!is_faulty_ || one_in(2)) return move(piece, PieceState::verified);
    move(piece, PieceState::candidate);
    if (!is_delivered) move(piece, PieceState::wanted);
  }

  /// A thread has hashed the spool again. Some pieces are lost.
  void step_reverified() {
    const bool is_delivered = GetParam().kind == Kind::pushed;
    for (PieceNumber piece = 0; piece < kPieces && is_faulty_; ++piece) {
      if (!one_in(6)) continue;
      if (pieces_->state(piece) == PieceState::verified) {
        move(piece, is_delivered ? PieceState::candidate : PieceState::wanted);
      } else if (pieces_->state(piece) == PieceState::in_place && !is_delivered) {
        move(piece, PieceState::adopted);
      }
    }
    reverified();
  }

  // --- The walk ---

  void step() {
    switch (up_to(11)) {
      case 0:
      case 1:
      case 2:
        if (call_) answer_call();
        return;
      case 3:
      case 4:
        if (!deeds_.running.empty()) step_pull();
        return;
      case 5:
        if (!deeds_.judging.empty()) return step_judge();
        if (deeds_.is_judging_manifest) judge_manifest(any_of(kVerdicts));
        return;
      case 6:
        if (deeds_.is_probing) probed(one_in(3) ? std::optional("refused") : std::nullopt);
        return;
      case 7:
        return hear(one_in(2) ? Listening::woken : Listening::lapsed);
      case 8:
        return pass(milliseconds(up_to(one_in(10) ? 20'000 : 300)));
      case 9:
        if (pieces_->candidates() > 0) return step_candidate(any_of(candidates()));
        if (disk_.is_reverifying) step_reverified();
        return;
      case 10:
        if (one_in(8)) suspicion_ = Suspicion::verify;
        if (one_in(20)) run_state_ = RunState::staged;
        if (one_in(8)) change_seat();
        if (GetParam().kind != Kind::pushed) return;
        set_undelivered(one_in(2) ? "much" : "");
        if (one_in(8)) find_manifest();
        return;
      default:
        return step_late();
    }
  }

  /// A file of an old pull arrives, and pulls end that the puller has ended.
  void step_late() {
    if (deeds_.last_pull > 0) {
      arrive(1 + up_to(static_cast<unsigned>(deeds_.last_pull) + 1), piece_name(up_to(kPieces)));
    }
    for (const auto id : std::exchange(deeds_.ended, {})) {
      if (deeds_.running.contains(id)) end(id, PullEnd::unreachable);
    }
  }

  [[nodiscard]] std::vector<PieceNumber> candidates() const {
    return pieces_->in(PieceState::candidate);
  }

  void forget_awaited(PieceNumber piece) {
    for (auto& [id, pieces] : awaited_) pieces.erase(piece);
  }

  void expect_sound() {
    // A new pull must name no piece that another pull may still bring.
    for (; seen_pull_ < deeds_.last_pull; ++seen_pull_) {
      const auto begun = deeds_.running.find(seen_pull_ + 1);
      if (begun == deeds_.running.end()) continue;
      for (const auto& [piece, digest, sum] : begun->second.pieces) {
        for (const auto& [id, pieces] : awaited_) {
          EXPECT_FALSE(deeds_.running.contains(id) && pieces.contains(piece))
              << "pulls " << id << " and " << begun->first << " name piece " << piece;
        }
        awaited_[begun->first].insert(piece);
      }
    }
    const auto& ledger = puller_->ledger();
    EXPECT_LE(ledger.claims(), most_claims_);
    const auto tokens = ledger.tokens();
    EXPECT_EQ(std::set(tokens.begin(), tokens.end()).size(), tokens.size());
    if (ledger.size() == 0) {
      EXPECT_THAT(pieces_->in(PieceState::in_flight), testing::IsEmpty());
    }
  }

  /// Begins the next tick if this one has ended.
  void begin_again_if_over() {
    if (deeds_.conclusion == Conclude::How::finished) return is_faulty_ ? begin_anew() : void();
    if (!deeds_.conclusion && !deeds_.failure) return;
    begin_tick(PieceSet(pieces_->servable()), disk_.has_manifest);
  }

  /// One step without faults.
  void step_well() {
    if (call_) return answer_call();
    if (deeds_.is_probing) return probed();
    if (!deeds_.judging.empty()) {
      const auto piece = deeds_.judging.front();
      judge(piece, Verdict::good);
      return;
    }
    if (deeds_.is_judging_manifest) return judge_manifest(Verdict::good);
    if (disk_.is_reverifying) return step_reverified();
    if (deeds_.candidates_checked > 0) {
      for (const auto piece : candidates()) {
        if (pieces_->digest(piece)) return step_candidate(piece);
      }
    }
    if (deeds_.running.empty()) return pass_until(puller_->due(now_));
    const auto [id, assignment] = *deeds_.running.begin();
    arrive(id, "manifest");
    for (const auto& [piece, digest, sum] : assignment.pieces) arrive(id, piece_name(piece));
    end(id);
  }

  static constexpr std::array kEnds = {PullEnd::good,  PullEnd::good,        PullEnd::good,
                                       PullEnd::busy,  PullEnd::unreachable, PullEnd::refused,
                                       PullEnd::local, PullEnd::missing};
  static constexpr std::array kVerdicts = {Verdict::good, Verdict::good, Verdict::good,
                                           Verdict::good, Verdict::bad,  Verdict::absent};

  std::mt19937 random_;
  bool is_faulty_ = true;
  unsigned most_claims_ = 0;
  int ticks_ = 0;
  std::map<Token, Claim> claims_;                        // Claims that Redis knows of.
  std::map<TransferId, std::set<PieceNumber>> awaited_;  // Pieces that each pull may still bring.
  TransferId seen_pull_ = 0;
};

TEST_P(PullerWalkTest, ItStaysSoundAndFinishesOnceFaultsStop) {
  begin_anew();
  for (int i = 0; i < kSteps && !HasFailure(); ++i) {
    SCOPED_TRACE(i);
    step();
    expect_sound();
    begin_again_if_over();
  }
  EXPECT_GT(ticks_, 1) << "no tick has ended";
  is_faulty_ = false;
  suspicion_ = Suspicion::none;
  run_state_ = RunState::staged;
  change_seat();
  if (GetParam().kind == Kind::pushed) {
    set_undelivered("");
    find_manifest();
  }
  const auto until = now_ + std::chrono::minutes(5);
  while (!HasFailure() && deeds_.conclusion != Conclude::How::finished) {
    ASSERT_LT(now_, until) << "it does not finish";
    step_well();
    expect_sound();
    begin_again_if_over();
  }
  EXPECT_EQ(deeds_.conclusion, Conclude::How::finished);
}

std::vector<Walk> walks() {
  std::vector<Walk> all;
  for (const auto kind : {Kind::claims, Kind::trees, Kind::pushed}) {
    for (unsigned seed = 1; seed <= 8; ++seed) all.push_back({kind, seed});
  }
  return all;
}

std::string name_of_walk(const testing::TestParamInfo<Walk>& walk) {
  constexpr std::array kNames = {"Claims", "Trees", "Pushed"};
  return kNames.at(static_cast<std::size_t>(walk.param.kind)) + std::to_string(walk.param.seed);
}

INSTANTIATE_TEST_SUITE_P(Walks, PullerWalkTest, testing::ValuesIn(walks()), name_of_walk);

}  // namespace
}  // namespace libsync
