#pragma once

// Drives a Puller by events alone, without Redis, disk, rsync or clock.
//
// The fixture carries out every act but calls at once, and records it. A call stays pending until
// the test answers it or loses the answer. After every event the puller must come to rest within a
// few acts: it has no further act, and is due in the future.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "minion/puller.h"

namespace libsync::test {

inline Address host(unsigned number) {
  return Address::parse("10.0.0." + std::to_string(number)).value();
}

inline StagedPiece staged(PieceNumber piece) { return {piece, digest_of(std::to_string(piece))}; }

/// The state of a download at its start.
struct Given {
  PieceNumber pieces = 10;
  PieceState state = PieceState::wanted;  ///< The state of all pieces.
  bool has_trees = false;
  Delivery delivery = Delivery::pulled;
  std::optional<unsigned> slots;
  std::optional<Seat> seat;
};

/// The acts of a puller, except its calls.
struct Deeds {
  std::map<TransferId, Assignment> running;  ///< Pulls whose rsync has not ended.
  TransferId last_pull = 0;
  std::vector<TransferId> ended;
  std::vector<PieceNumber> judging;
  bool is_judging_manifest = false;
  bool is_probing = false;
  std::size_t candidates_checked = 0;
  std::size_t reverifications = 0;
  std::size_t completions = 0;
  std::size_t publications = 0;
  std::vector<Report> reports;
  std::vector<ReportFromSeat> seat_reports;
  std::vector<std::string> warnings;
  std::optional<Failure> failure;
  std::optional<Conclude::How> conclusion;
};

class PullerFixture : public testing::Test {
 protected:
  void start(const Given& given) {
    puller_.reset();
    deeds_ = Deeds{};
    call_.reset();
    disk_ = DiskState{};
    pieces_.emplace(given.pieces, given.state);
    puller_.emplace(*pieces_,
                    Puller::Terms{.cut = {given.pieces * std::uint64_t{1000}, 1000},
                                  .has_trees = given.has_trees,
                                  .delivery = given.delivery,
                                  .slots = given.slots,
                                  .make_token = [this] { return new_token(); }},
                    given.seat, now_);
    run();
  }

  // --- Downloads at a certain point ---

  /// Three pieces by one slot. The probe is good; the manifest and the first piece are here.
  void begin() {
    start({.pieces = 3, .slots = 1});
    probed();
    bring_all(grant({0}));
    tell_to_wait();
  }

  /// All pieces are here.
  void gather() {
    begin();
    for (const PieceNumber piece : {1U, 2U}) {
      hear(Listening::woken);
      pass(Duration(100));
      const auto id = grant({piece});
      arrive(id, piece_name(piece));
      end(id);
      judge(piece, Verdict::good);
      answer(ClaimOutcome{Wait{view()}});
    }
  }

  // --- Events ---

  void pass(Duration duration) {
    now_ += duration;
    run();
  }
  void pass_until(Instant moment) {
    now_ = moment;
    run();
  }
  void hear(Listening heard) {
    deliver([&] { puller_->on(heard, now_); });
  }
  void probed(const std::optional<std::string>& fault = std::nullopt) {
    deeds_.is_probing = false;
    deliver([&] { puller_->on(Probed{fault}); });
  }
  /// The manifest is here from an earlier tick.
  void find_manifest() {
    disk_.has_manifest = true;
    run();
  }

  /// rsync has moved bytes of a file.
  void move_bytes(TransferId id) {
    deliver([&] { puller_->on(BytesMoved{id}, now_); });
  }
  void arrive(TransferId id, const std::string& name) {
    deliver([&] { puller_->on(FileArrived{id, name, 0}, now_); });
  }
  /// Returns the source that the puller credits.
  std::optional<Address> judge(PieceNumber piece, Verdict verdict) {
    if (std::erase(deeds_.judging, piece) != 1) throw std::runtime_error("nothing to judge");
    if (verdict == Verdict::good) pieces_->move(piece, PieceState::verified);
    std::optional<Address> source;
    deliver([&] { source = puller_->on(Judgement{piece, verdict}); });
    return source;
  }
  void judge_manifest(Verdict verdict) {
    if (!std::exchange(deeds_.is_judging_manifest, false)) {
      throw std::runtime_error("no manifest to judge");
    }
    if (verdict == Verdict::good) disk_.has_manifest = true;
    deliver([&] { puller_->on(Judgement{std::nullopt, verdict}); });
  }
  void end(TransferId id, PullEnd how = PullEnd::good) {
    deeds_.running.erase(id);
    deliver([&] { puller_->on(TransferEnded{id, how, how == PullEnd::good ? "" : "because"}); });
  }
  /// The pull brings a good piece.
  void bring(TransferId id, PieceNumber piece) {
    arrive(id, piece_name(piece));
    judge(piece, Verdict::good);
  }
  void bring_manifest(TransferId id) {
    arrive(id, "manifest");
    judge_manifest(Verdict::good);
  }
  /// The pull brings its whole assignment, and ends well.
  void bring_all(TransferId id) {
    const auto assignment = deeds_.running.at(id);
    if (assignment.manifests == Manifests::one) bring_manifest(id);
    for (const auto& [piece, digest, sum] : assignment.pieces) bring(id, piece);
    end(id);
  }
  /// A thread changes the state of a piece.
  void move(PieceNumber piece, PieceState to) {
    pieces_->move(piece, to);
    run();
  }
  /// A thread has hashed every servable piece again.
  void reverified() {
    disk_.is_reverifying = false;
    run();
  }
  void set_undelivered(const std::string& what) {
    disk_.undelivered = what;
    run();
  }

  // --- Calls ---

  template <typename Known>
  [[nodiscard]] bool calls() const {
    return call_ && std::holds_alternative<Known>(*call_);
  }
  /// The pending call.
  template <typename Known>
  [[nodiscard]] Known call() const {
    if (!call_) throw std::runtime_error("no call is pending");
    if (!calls<Known>()) {
      throw std::runtime_error("call " + std::to_string(call_->index()) + " is pending");
    }
    return std::get<Known>(*call_);
  }
  /// No call is pending, and the download goes on.
  [[nodiscard]] bool is_idle() const { return !call_ && !deeds_.failure && !deeds_.conclusion; }

  template <typename Outcome>
  void answer(const Outcome& outcome) {
    if (!awaits(outcome)) throw std::runtime_error("another call is pending, or none");
    call_.reset();
    deliver([&] { puller_->on(outcome, now_); });
  }
  /// Loses the answer of the pending call.
  void lose_answer() {
    call_.reset();
    deliver([&] { puller_->on(CallFailed{}); });
  }
  /// Redis answers that the run is over, or that another one has begun.
  void answer_stale() {
    if (calls<AskClaim>() || calls<CompleteClaim>()) return answer(ClaimOutcome{Stale{}});
    if (calls<Report>()) return answer(ViewOutcome{Stale{}});
    if (calls<ReportFromSeat>()) return answer(SeatOutcome{Stale{}});
    if (calls<Renew>()) return answer(RenewOutcome{Stale{}});
    if (calls<CheckRun>()) return answer(RunChecked{});
    if (calls<Finish>()) return answer(FinishOutcome::stale);
    throw std::runtime_error("no answer to this call says that the run is over");
  }

  [[nodiscard]] View view() const {
    return {.state = run_state_,
            .sources = sources_,
            .suspicion = suspicion_,
            .usual_piece = usual_piece_};
  }

  /// The token for a new claim in the pending call.
  [[nodiscard]] Token wanted_token() const {
    if (calls<AskClaim>()) return call<AskClaim>().want.token;
    return call<CompleteClaim>().next.value().token;
  }
  /// Grants these pieces. Returns the id of the last pull.
  TransferId grant(const std::vector<PieceNumber>& pieces, const Address& source = host(2)) {
    Claim claim{wanted_token(), source, {}};
    for (const auto piece : pieces) claim.pieces.push_back(staged(piece));
    answer(ClaimOutcome{Claimed{std::move(claim), view()}});
    return deeds_.last_pull;
  }
  void tell_to_wait(std::chrono::seconds patience = std::chrono::seconds(5)) {
    answer(ClaimOutcome{Wait{view(), patience}});
  }

  [[nodiscard]] std::vector<std::string> drain_warnings() {
    return std::exchange(deeds_.warnings, {});
  }

  Instant now_{std::chrono::hours(1)};
  RunState run_state_ = RunState::staging;
  Suspicion suspicion_ = Suspicion::none;
  std::size_t sources_ = 0;
  Duration usual_piece_{0};
  /// The fixture answers reports at once, by view() and seat_.
  bool answers_reports_ = true;
  Seat seat_;
  DiskState disk_;
  Deeds deeds_;
  std::optional<Act> call_;
  std::optional<PieceTable> pieces_;
  std::optional<Puller> puller_;

 private:
  // No event causes nearly as many acts.
  static constexpr int kActsAtMost = 60;

  Token new_token() {
    Token::Bytes bytes{};
    ++tokens_;
    for (std::size_t i = 0; i < sizeof tokens_; ++i) {
      bytes.at(i) = static_cast<std::uint8_t>(tokens_ >> (8 * i));
    }
    return Token(bytes);
  }

  [[nodiscard]] bool awaits(const ClaimOutcome&) const {
    return calls<AskClaim>() || calls<CompleteClaim>();
  }
  [[nodiscard]] bool awaits(const ViewOutcome&) const { return calls<Report>(); }
  [[nodiscard]] bool awaits(const SeatOutcome&) const { return calls<ReportFromSeat>(); }
  [[nodiscard]] bool awaits(const RenewOutcome&) const { return calls<Renew>(); }
  [[nodiscard]] bool awaits(const Digests&) const { return calls<AskDigests>(); }
  [[nodiscard]] bool awaits(const RunChecked&) const { return calls<CheckRun>(); }
  [[nodiscard]] bool awaits(FinishOutcome) const { return calls<Finish>(); }
  [[nodiscard]] bool awaits(Doubted) const { return calls<Doubt>(); }

  template <typename Event>
  void deliver(const Event& event) {
    event();
    run();
  }

  void run() {
    for (int acts = 0; !deeds_.failure && !deeds_.conclusion; ++acts) {
      settle_disk();
      const auto act = puller_->next(now_);
      if (!act) break;
      ASSERT_FALSE(call_) << "act " << act->index() << " while a call is pending";
      ASSERT_LT(acts, kActsAtMost)
          << "act " << act->index() << " and more: the puller does not rest";
      std::visit([this](const auto& known) { perform(known); }, *act);
    }
    if (deeds_.failure || deeds_.conclusion) return;
    ASSERT_FALSE(puller_->next(now_)) << "the puller is not at rest";
    ASSERT_GT(puller_->due(now_), now_) << "the loop would not wait";
  }

  // The virtual disk copies at once.
  void settle_disk() {
    if (disk_.has_manifest) {
      for (const auto piece : pieces_->in(PieceState::verified)) {
        pieces_->move(piece, PieceState::placing);
        pieces_->move(piece, PieceState::in_place);
      }
    }
    const bool is_gathered = disk_.has_manifest && pieces_->in_place().is_complete();
    if (is_gathered && disk_.step == DiskState::Step::gathering) {
      disk_.step = DiskState::Step::gathered;
    }
    puller_->on(disk_);
  }

  template <typename Known>
  void perform(const Known& act) {
    call_ = act;
  }
  void perform(const Report& act) {
    deeds_.reports.push_back(act);
    if (!answers_reports_) {
      call_ = act;
    } else {
      puller_->on(ViewOutcome{view()}, now_);
    }
  }
  void perform(const ReportFromSeat& act) {
    deeds_.seat_reports.push_back(act);
    if (!answers_reports_) {
      call_ = act;
    } else {
      puller_->on(SeatOutcome{Seated{view(), seat_}}, now_);
    }
  }
  void perform(const StartPull& act) {
    ++deeds_.last_pull;
    deeds_.running.emplace(deeds_.last_pull, act.assignment);
    puller_->on(PullStarted{deeds_.last_pull}, now_);
  }
  void perform(const EndPull& act) { deeds_.ended.push_back(act.id); }
  void perform(const JudgePiece& act) { deeds_.judging.push_back(act.piece.piece); }
  void perform(const JudgeManifest&) { deeds_.is_judging_manifest = true; }
  void perform(const CheckCandidates&) { ++deeds_.candidates_checked; }
  void perform(const Reverify&) {
    ++deeds_.reverifications;
    disk_.is_reverifying = pieces_->servable().size() > 0;
  }
  void perform(const CompleteTree&) {
    ++deeds_.completions;
    disk_.step = DiskState::Step::completed;
  }
  void perform(const Publish&) {
    ++deeds_.publications;
    disk_.step = DiskState::Step::published;
  }
  void perform(const StartProbe&) { deeds_.is_probing = true; }
  void perform(const Warn& act) { deeds_.warnings.push_back(act.line); }
  void perform(const GiveUp& act) { deeds_.failure.emplace(act.failure); }
  void perform(const Conclude& act) { deeds_.conclusion = act.how; }

  std::uint64_t tokens_ = 0;
};

}  // namespace libsync::test
