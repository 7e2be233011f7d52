#pragma once

// Pulls by claims: of every piece in a small run, and of pieces that no tree carries in a large
// one.
//
// A host asks Redis for a claim while it has free slots. It waits if Redis has none, and pauses
// after a failure, so that no loop runs hot. Redis decides which pieces it gets, and from which
// source (redis/functions/claims.lua).
//
// A pull that is silent while others move is given up. A host with nothing left to claim fetches a
// piece that is late a second time, from another source. So one bad source delays nobody. Pure.

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "minion/pace.h"
#include "minion/policy.h"
#include "minion/silence.h"
#include "minion/timers.h"

namespace libsync {

class Claims final : public PullPolicy {
 public:
  using MakeToken = std::function<Token()>;

  /// `slots`: parallel pulls. `timers` must outlive the Claims.
  Claims(unsigned slots, Timers& timers, MakeToken make_token);

  /// A silent pull to end. Each pull needs a claim first, so there is none to start.
  [[nodiscard]] std::optional<Act> pull(const Situation& situation) override;
  void started(TransferId id, Instant now) override;
  void arrived(TransferId id, Instant now) override;
  /// The pull has moved bytes.
  void moved(TransferId id, Instant now);
  void over(const OverPull& pull, const Situation& situation) override;
  [[nodiscard]] std::optional<Act> report(const Situation& situation) override;
  [[nodiscard]] PieceSet carried(const Situation& situation) const override;
  [[nodiscard]] unsigned slots() const override { return slots_; }
  [[nodiscard]] bool reports_regularly() const override { return false; }
  [[nodiscard]] Instant due(const Situation& situation) const override;

  /// A request for a claim. `held`: claims that the host holds. `carried`: pieces that come without
  /// a claim. A host that needs neither a piece nor the manifest asks for a late piece, if there is
  /// one. So does a host all of whose slots pull late pieces.
  [[nodiscard]] std::optional<Want> want(const Situation& situation, std::size_t held,
                                         unsigned slots, const PieceSet& carried,
                                         Manifests manifests) const;

  /// Whether a claim may be asked for now.
  [[nodiscard]] bool may_ask(Instant now) const;

  /// The host has asked for a claim. It repeats the token until Redis has answered.
  void asked(const Want& want, Instant now);
  /// Redis has granted the claim, and the next request uses another token. Returns StartPull for
  /// the pieces that are still wanted or late, and for the manifest if `manifests` allows it.
  /// Returns CompleteClaim if nothing is left to pull, and GiveUp if the run has no such piece.
  [[nodiscard]] Act granted(const Claim& claim, PieceTable& pieces, const Ledger& ledger,
                            Manifests manifests);
  /// Redis has no claim for this host now.
  void wait(Instant until) { timers_.set(Timer::ask, until); }
  /// The source lies outside --peers, or is no address. Returns the completion of the claim. The
  /// claim also counts as failed(), with this fault.
  [[nodiscard]] CompleteClaim unusable(const Unusable& claim, Instant now);
  [[nodiscard]] static std::string fault_of(const Unusable& claim);

  /// A pull or a claim has failed. `pulls_left`: other pulls. Returns a Failure if the host gives
  /// up for this tick: after several failures in a row, without a good piece or another pull.
  [[nodiscard]] std::optional<Failure> failed(PullEnd end, const std::string& detail,
                                              std::size_t pulls_left, Instant now);
  /// A good piece has come.
  void succeeded() { failures_ = 0; }

 private:
  struct Pull {
    Instant moved;        // When it moved its last byte, or began.
    Instant piece_since;  // When it brought its last piece, or began.
    bool is_given_up = false;
  };
  /// A piece in flight that a second pull may bring sooner.
  struct Late {
    PieceNumber piece;
    Address source;
  };

  [[nodiscard]] bool are_all_late(const Situation& situation) const;
  [[nodiscard]] std::optional<Late> late_piece(const Situation& situation) const;

  unsigned slots_;
  Timers& timers_;
  MakeToken make_token_;
  Token next_token_;
  Instant asked_at_;
  bool is_asked_for_late_ = false;  // The last request was for a piece in flight.
  Pace pace_;
  std::map<TransferId, Pull> pulls_;
  Silence silence_;
  std::size_t failures_ = 0;  // In a row.
};

}  // namespace libsync
