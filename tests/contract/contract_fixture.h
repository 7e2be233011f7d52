#pragma once

// The fixture of the contract suite: a run of four pieces, and its hosts.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <initializer_list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "backend.h"
#include "os/random.h"
#include "task_path.h"

namespace libsync::test {

inline constexpr PieceNumber kContractPieces = 4;
inline constexpr std::string_view kTask = "/data/model.7";
inline constexpr std::string_view kOtherTask = "/data/model.8";

[[nodiscard]] inline Digest piece_digest(PieceNumber piece) {
  return digest_of("piece " + std::to_string(piece));
}

[[nodiscard]] inline Address host(unsigned number) {
  return Address::parse("10.0.0." + std::to_string(number)).value();
}

/// The origin of most runs; hosts 2 and up are minions.
[[nodiscard]] inline Address origin() { return host(1); }

[[nodiscard]] inline PieceSet pieces(std::initializer_list<PieceNumber> members) {
  PieceSet set(kContractPieces);
  for (const auto piece : members) set.insert(piece);
  return set;
}

[[nodiscard]] inline PieceSet all_pieces() { return pieces({0, 1, 2, 3}); }

/// The pieces that a claim names.
[[nodiscard]] inline std::vector<PieceNumber> named_by(const Claim& claim) {
  std::vector<PieceNumber> all;
  for (const auto& [piece, digest, sum] : claim.pieces) {
    EXPECT_EQ(digest, piece_digest(piece));
    all.push_back(piece);
  }
  return all;
}

[[nodiscard]] inline auto all_backends() {
  return testing::Values(BackendKind{"Fake", make_fake_backend},
                         BackendKind{"Redis", make_redis_backend});
}
[[nodiscard]] inline std::string name_of_backend(const testing::TestParamInfo<BackendKind>& kind) {
  return kind.param.name;
}

class Contract : public testing::TestWithParam<BackendKind> {
 protected:
  Contract() : backend_(GetParam().make()) {}

  [[nodiscard]] MasterCoordinator& master() { return backend_->master(); }
  [[nodiscard]] MinionCoordinator& minion(const Address& one) { return backend_->minion(one); }

  [[nodiscard]] static RunInfo run(OriginKind kind = OriginKind::master,
                                   std::string_view task = kTask) {
    return {.id = random_name<RunId>(),
            .task = task_path(task),
            .fingerprint = random_name<Fingerprint>(),
            .cut = {kContractPieces * 100 - 1, 100},
            .manifest = digest_of("manifest"),
            .manifest_bytes = 77,
            .origin = origin(),
            .origin_kind = kind,
            .master = random_name<MasterId>()};
  }

  /// Begins a run whose origin offers `slots` upload slots.
  RunInfo begin(unsigned slots = 2, const Expected& expected = {}, Spread spread = Spread::claims,
                OriginKind kind = OriginKind::master) {
    auto info = run(kind);
    const auto outcome = master().begin(info, slots, expected, TaskKey::leave, spread);
    EXPECT_TRUE(std::holds_alternative<Begun>(outcome));
    return info;
  }

  void stage(const RunInfo& info, std::initializer_list<PieceNumber> all,
             RunState final_state = RunState::staging) {
    std::vector<StagedPiece> staged;
    for (const auto piece : all) staged.push_back({piece, piece_digest(piece)});
    EXPECT_TRUE(std::holds_alternative<Done>(master().stage(info.id, staged, final_state)));
  }
  void stage_all(const RunInfo& info) { stage(info, {0, 1, 2, 3}, RunState::staged); }

  [[nodiscard]] static Want want(PieceNumber most, PieceSet unwanted) {
    return {random_name<Token>(), most, std::move(unwanted), std::nullopt};
  }

  /// A claim of a host for up to `most` of the pieces that it lacks.
  [[nodiscard]] ClaimOutcome claim(const RunInfo& info, const Address& by, const PieceSet& have,
                                   PieceNumber most = 1) {
    return minion(by).claim(info.id, by, {have, have.size()}, want(most, have));
  }
  [[nodiscard]] Claim granted(const RunInfo& info, const Address& by, const PieceSet& have,
                              PieceNumber most = 1) {
    const auto outcome = claim(info, by, have, most);
    if (const auto* const claimed = std::get_if<Claimed>(&outcome)) return claimed->claim;
    ADD_FAILURE() << "no claim for " << by.text();
    return {random_name<Token>(), origin(), {}};
  }
  ClaimOutcome complete(const RunInfo& info, const Address& by, const Token& token, PullEnd end,
                        const PieceSet& have, const std::optional<Want>& next = std::nullopt) {
    return minion(by).complete(info.id, by, token, end, "why it failed", {have, have.size()}, next);
  }
  ViewOutcome report(const RunInfo& info, const Address& by, const PieceSet& have, unsigned slots,
                     Clearance clearance = Clearance::none) {
    return minion(by).report(info.id, by, {have, have.size()}, slots, clearance);
  }
  [[nodiscard]] FinishOutcome finish(const RunInfo& info, const Address& by,
                                     const PieceSet& have = all_pieces(), unsigned slots = 1) {
    return minion(by).finish(info.id, by, info.manifest, {have, have.size()}, slots);
  }
  [[nodiscard]] JoinOutcome join(const Address& by, Arrival arrival = Arrival::again,
                                 SeatWish seat = SeatWish::none,
                                 Duration stays = Duration::zero()) {
    return minion(by).join(by, HostId(), arrival, seat, stays);
  }
  [[nodiscard]] Joined joined(const Address& by, Arrival arrival = Arrival::again,
                              SeatWish seat = SeatWish::none) {
    auto outcome = join(by, arrival, seat);
    EXPECT_TRUE(std::holds_alternative<Joined>(outcome)) << by.text();
    return std::get<Joined>(std::move(outcome));
  }

  [[nodiscard]] RunStanding standing() {
    auto watch = master().watch();
    EXPECT_TRUE(watch.run);
    return watch.run.value();
  }
  [[nodiscard]] View view_of(const RunInfo& info, const Address& by) {
    const auto outcome = minion(by).renew(info.id, by, {});
    EXPECT_TRUE(std::holds_alternative<Renewed>(outcome));
    return std::get<Renewed>(outcome).view;
  }
  [[nodiscard]] Pulse pulse() { return backend_->observer().pulse(); }
  [[nodiscard]] Status status() { return backend_->observer().status(); }
  /// One host in the status; all zero if the status lacks it.
  [[nodiscard]] HostStatus status_of(const Address& one) {
    for (const auto& known : status().hosts) {
      if (known.address == one.text()) return known;
    }
    return {};
  }

  /// Whether a host is woken, which ends its listening. The host begins to listen if it does not.
  [[nodiscard]] bool is_woken(const Address& one) {
    return listening_of(one, std::chrono::seconds(5)) == Listening::woken;
  }
  /// Whether a host stays listening for the next moments.
  [[nodiscard]] bool is_left_alone(const Address& one) {
    return listening_of(one, std::chrono::milliseconds(200)) == Listening::on;
  }
  [[nodiscard]] Listening listening_of(const Address& one, std::chrono::milliseconds longest) {
    constexpr std::chrono::seconds kPatience{60};
    auto& listener = minion(one);
    listener.listen(one, kPatience);
    return heard_within(listener, longest);
  }
  /// The state of a listening after it ended, or after this time.
  [[nodiscard]] static Listening heard_within(MinionCoordinator& listener,
                                              std::chrono::milliseconds longest) {
    pollfd polled{listener.wake_descriptor(), POLLIN, 0};
    static_cast<void>(poll(&polled, 1, static_cast<int>(longest.count())));
    return listener.heard();
  }

  std::unique_ptr<Backend> backend_;
};

}  // namespace libsync::test
