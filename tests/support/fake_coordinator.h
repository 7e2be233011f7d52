#pragma once

// Coordinators for unit tests. Each is a view of one FakeSharedState, which any number of them
// share.
//
// A test makes a call of a view fail through its `faults`, before or after the call took effect.

#include <vector>

#include "call_faults.h"
#include "fake_shared_state.h"
#include "libsync/master_coordinator.h"
#include "libsync/minion_coordinator.h"
#include "libsync/observer.h"
#include "os/descriptor.h"

namespace libsync::test {

/// The Failure that a coordinator throws while Redis is unreachable.
[[nodiscard]] Failure redis_out_of_reach();

class FakeMasterCoordinator final : public MasterCoordinator {
 public:
  explicit FakeMasterCoordinator(FakeSharedState& state) : state_(state) {}

  CallFaults faults{redis_out_of_reach()};

  void load_functions() override;
  [[nodiscard]] Discovery discover() override;
  [[nodiscard]] BeginOutcome begin(const RunInfo& run, unsigned origin_slots,
                                   const Expected& expected, TaskKey task, Spread spread) override;
  [[nodiscard]] StageOutcome stage(const RunId& run, const std::vector<StagedPiece>& pieces,
                                   RunState final_state) override;
  [[nodiscard]] Watch watch() override;
  [[nodiscard]] StageOutcome expect(const RunId& run, const Expected& expected) override;
  [[nodiscard]] std::optional<Awaited> awaited() override;
  [[nodiscard]] StageOutcome admit(const RunId& run) override;
  [[nodiscard]] RepairOutcome repair(const RunInfo& run, const RunId& another,
                                     const std::vector<StagedPiece>& recorded,
                                     const Expected& expected) override;
  void overtake(const RunId& run, const std::optional<TaskPath>& task) override;
  void show_work(const std::string& text) override;
  [[nodiscard]] StageOutcome vouch(const RunId& run) override;
  [[nodiscard]] EndOutcome end(const RunId& run, const std::string& outcome,
                               const std::string& reason, TaskAfter task) override;
  [[nodiscard]] std::optional<RunAccount> last_account() override;
  [[nodiscard]] bool refuse(const std::string& task, const std::string& reason) override;

 private:
  template <typename Act>
  std::invoke_result_t<Act> call(std::string_view verb, Act act);

  FakeSharedState& state_;
};

/// heard() and wake_descriptor() never fail: where the connection breaks, listening lapses.
class FakeMinionCoordinator final : public MinionCoordinator {
 public:
  explicit FakeMinionCoordinator(FakeSharedState& state,
                                 std::vector<Network> peers = private_networks());
  ~FakeMinionCoordinator() override;
  FakeMinionCoordinator(const FakeMinionCoordinator&) = delete;
  FakeMinionCoordinator& operator=(const FakeMinionCoordinator&) = delete;

  CallFaults faults{redis_out_of_reach()};

  [[nodiscard]] JoinOutcome join(const Address& host, const HostId& id, Arrival arrival,
                                 SeatWish seat, Duration stays) override;
  [[nodiscard]] std::vector<StagedPiece> digests(const RunId& run,
                                                 const std::vector<PieceNumber>& pieces) override;
  [[nodiscard]] ViewOutcome report(const RunId& run, const Address& host, const Holdings& holdings,
                                   unsigned slots, Clearance clearance) override;
  [[nodiscard]] SeatOutcome report_from_seat(const RunId& run, const Address& host,
                                             const Holdings& holdings, unsigned slots,
                                             Clearance clearance, const PieceSet& known,
                                             const std::vector<ParentFeedback>& feedback) override;
  [[nodiscard]] ClaimOutcome claim(const RunId& run, const Address& host, const Holdings& holdings,
                                   const Want& want) override;
  [[nodiscard]] ClaimOutcome complete(const RunId& run, const Address& host, const Token& token,
                                      PullEnd end, const std::string& detail,
                                      const Holdings& holdings,
                                      const std::optional<Want>& next) override;
  [[nodiscard]] std::optional<RunState> state_of(const RunId& run) override;
  [[nodiscard]] RenewOutcome renew(const RunId& run, const Address& host,
                                   const std::vector<Token>& tokens) override;
  [[nodiscard]] FinishOutcome finish(const RunId& run, const Address& host, const Digest& manifest,
                                     const Holdings& holdings, unsigned slots) override;
  void doubt(const RunId& run, const Address& host, const std::string& reason) override;
  void report_fault(const RunId& run, const Address& host, Fault fault,
                    const std::string& reason) override;
  void show_work(const RunId& run, const Address& host, const std::string& text) override;
  void give_account(const RunId& run, const Address& host, const OwnAccount& account) override;
  void leave(const RunId& run, const Address& host, Retreat retreat,
             const std::string& reason) override;
  void listen(const Address& host, std::chrono::seconds patience) override;
  [[nodiscard]] int wake_descriptor() const override;
  [[nodiscard]] Listening heard() override;

  /// Breaks the connection that listens.
  void break_listening() { is_broken_ = listens_to_.has_value(); }

 private:
  [[nodiscard]] Listening listening() const;
  void signal() const;
  [[nodiscard]] ClaimOutcome within_peers(ClaimOutcome outcome) const;
  void drop_strangers(Seat& seat) const;

  FakeSharedState& state_;
  std::vector<Network> peers_;
  Descriptor ready_;  // Readable when listening has ended.
  std::optional<Address> listens_to_;
  std::uint64_t lapses_ms_ = 0;
  bool is_broken_ = false;
};

class FakeObserver final : public Observer {
 public:
  explicit FakeObserver(FakeSharedState& state) : state_(state) {}

  CallFaults faults{redis_out_of_reach()};
  std::optional<Address> address;

  [[nodiscard]] Status status() override;
  [[nodiscard]] Pulse pulse() override;
  [[nodiscard]] std::optional<Address> own_address() override;

 private:
  FakeSharedState& state_;
};

}  // namespace libsync::test
