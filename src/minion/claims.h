#pragma once

// Pulls by claims: in a small run every piece, in a large one what the trees do not carry.
//
// A host asks Redis for a claim while it has free slots, waits when nothing is to be had, and
// pauses after a failure, so that no loop runs hot around something broken. Which pieces, and from
// whom, is decided by the functions in Redis (redis/functions/claims.lua). Pure.

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "libsync/core/grain.h"
#include "minion/pace.h"
#include "minion/policy.h"
#include "minion/timers.h"

namespace libsync {

class Claims final : public PullPolicy {
 public:
  using MakeToken = std::function<Token()>;

  /// `slots`: as configured; nothing: by grain. `timers` must outlive the Claims.
  Claims(Grain grain, std::optional<unsigned> slots, Timers& timers, MakeToken make_token);

  // By claims there is nothing to start unasked, and everything is reported as it comes.
  [[nodiscard]] std::optional<Act> pull(const Situation&) override { return std::nullopt; }
  void started(TransferId id, Instant now) override;
  void arrived(TransferId id, Instant now) override { pace_.arrived(id, now); }
  void over(const OverPull& pull, const Situation&) override { pace_.ended(pull.id); }
  [[nodiscard]] std::optional<Act> report(const Situation& situation) override;
  [[nodiscard]] PieceSet carried(const Situation& situation) const override;
  [[nodiscard]] unsigned slots() const override { return slots_; }
  [[nodiscard]] bool reports_regularly() const override { return false; }
  [[nodiscard]] Instant due(const Situation&) const override { return Instant::max(); }

  /// A request while `held` claims are in hand. `carried`: pieces that come without a claim.
  /// Nothing if there is nothing to ask for: all slots in use, or no piece, and not the manifest
  /// either.
  [[nodiscard]] std::optional<Want> want(const Situation& situation, std::size_t held,
                                         unsigned slots, const PieceSet& carried,
                                         Manifests manifests) const;

  /// Whether a claim may be asked for now.
  [[nodiscard]] bool may_ask(Instant now) const;

  /// A claim was asked for. The same token goes out again until the answer is here.
  void asked(Instant now) { asked_at_ = now; }
  /// The claim is granted, and the next one gets another token. Returns the start of its pull, of
  /// the pieces that are wanted still, and of the manifest if a pull may bring it; if nothing is
  /// left to pull, the completion of the claim; if the run has no such piece, the end of the
  /// download.
  [[nodiscard]] Act granted(const Claim& claim, PieceTable& pieces, Manifests manifests);
  /// Nothing is to be had now.
  void wait(Instant until) { timers_.set(Timer::ask, until); }
  /// The source is no address that may be used. Returns the completion of the claim.
  [[nodiscard]] CompleteClaim unusable(const Unusable& claim, Instant now);

  /// A pull failed. A Failure if this host gives up for this tick: failures in a row, without a
  /// piece between them, and no pull in hand.
  [[nodiscard]] std::optional<Failure> failed(PullEnd end, const std::string& detail,
                                              std::size_t pulls_left, Instant now);
  /// A good piece has come.
  void succeeded() { failures_ = 0; }

 private:
  Grain grain_;
  unsigned slots_;
  Timers& timers_;
  MakeToken make_token_;
  Token next_token_;
  Instant asked_at_;
  Pace pace_;
  std::size_t failures_ = 0;  // In a row.
};

}  // namespace libsync
