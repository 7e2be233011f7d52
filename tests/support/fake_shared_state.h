#pragma once

// The shared state of a fleet in the memory of a test. It keeps the promises of the seams.
//
// One FakeSharedState is the Redis of one fleet: the views in fake_coordinator.h call its verbs,
// and a test sets and reads everything. Its clock moves only when the test moves it. FakeRun
// (fake_run.h) holds the run in progress. tests/contract/ holds both to what the seams promise.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fake_run.h"
#include "libsync/clock.h"
#include "libsync/master_coordinator.h"
#include "libsync/minion_coordinator.h"
#include "libsync/observer.h"

namespace libsync::test {

/// A run that has ended.
struct FakeEnd {
  RunId run;
  std::string path;
  std::string outcome;
  std::string reason;
  std::vector<std::string> missing;
  std::map<PieceNumber, StagedPiece> announced;  ///< As they were when it ended.
};

class FakeSharedState {
 public:
  // --- Acts of a test ---

  std::optional<std::string> task;  ///< As the operator sets it.
  std::string task_type;            ///< The type of a wrong value in the key; empty if none.
  bool has_functions = true;
  RunFormat format = RunFormat::ours;  ///< The run in progress has it.

  void advance(Duration by) { advanced_ms_ += static_cast<std::uint64_t>(by.count()); }

  /// From now on this time passes as that of `clock` does, beside what advance() adds.
  void keep_time_with(const Clock& clock);

  /// The server loses all its data, the functions included.
  void lose_everything();

  /// Wakes a host, as the functions do.
  void wake(const Address& host);

  // --- Results for a test ---

  [[nodiscard]] std::uint64_t now_ms() const;
  [[nodiscard]] std::size_t lookups() const { return lookups_; }
  [[nodiscard]] std::optional<FakeRun>& run() { return run_; }
  /// All runs that began, and all that ended, in their order.
  [[nodiscard]] const std::vector<RunInfo>& begun() const { return begun_; }
  [[nodiscard]] const std::vector<FakeEnd>& ended() const { return ended_; }
  /// The reasons of all refusals.
  [[nodiscard]] const std::vector<std::string>& refusals() const { return refusals_; }
  /// All texts about the work of the master.
  [[nodiscard]] const std::vector<std::string>& works_shown() const { return works_shown_; }

  // --- The verbs of the master ---

  [[nodiscard]] Discovery discover();
  [[nodiscard]] BeginOutcome begin(const RunInfo& run, unsigned origin_slots,
                                   const Expected& expected, TaskKey key, Spread spread);
  [[nodiscard]] StageOutcome stage(const RunId& run, const std::vector<StagedPiece>& pieces,
                                   RunState final_state);
  [[nodiscard]] Watch watch();
  [[nodiscard]] StageOutcome expect(const RunId& run, const Expected& expected);
  [[nodiscard]] std::optional<Awaited> awaited();
  [[nodiscard]] StageOutcome admit(const RunId& run);
  [[nodiscard]] RepairOutcome repair(const RunInfo& run, const RunId& another,
                                     const std::vector<StagedPiece>& recorded,
                                     const Expected& expected);
  void overtake(const RunId& run, const std::optional<TaskPath>& waiting);
  void show_masters_work(const std::string& text);
  [[nodiscard]] StageOutcome vouch(const RunId& run);
  [[nodiscard]] EndOutcome end(const RunId& run, const std::string& outcome,
                               const std::string& reason, TaskAfter after);
  [[nodiscard]] std::optional<RunAccount> last_account() const;
  [[nodiscard]] bool refuse(const std::string& refused, const std::string& reason);

  // --- The verbs of a minion ---

  [[nodiscard]] JoinOutcome join(const Address& host, const HostId& id, Arrival arrival,
                                 SeatWish seat, Duration stays);
  [[nodiscard]] std::vector<StagedPiece> digests(const RunId& run,
                                                 const std::vector<PieceNumber>& pieces);
  [[nodiscard]] ViewOutcome report(const RunId& run, const Address& host, const Holdings& holdings,
                                   unsigned slots, Clearance clearance);
  [[nodiscard]] SeatOutcome report_from_seat(const RunId& run, const Address& host,
                                             const Holdings& holdings, unsigned slots,
                                             Clearance clearance, const PieceSet& known,
                                             const std::vector<ParentFeedback>& feedback);
  [[nodiscard]] ClaimOutcome claim(const RunId& run, const Address& host, const Holdings& holdings,
                                   const Want& want);
  [[nodiscard]] ClaimOutcome complete(const RunId& run, const Address& host, const Token& token,
                                      PullEnd end, const std::string& detail,
                                      const Holdings& holdings, const std::optional<Want>& next);
  [[nodiscard]] std::optional<RunState> state_of(const RunId& run) const;
  [[nodiscard]] RenewOutcome renew(const RunId& run, const Address& host,
                                   const std::vector<Token>& tokens);
  [[nodiscard]] FinishOutcome finish(const RunId& run, const Address& host, const Digest& manifest,
                                     const Holdings& holdings, unsigned slots);
  void report_fault(const RunId& run, const Address& host, Fault fault, const std::string& reason);
  void show_work(const RunId& run, const Address& host, const std::string& text);
  void doubt(const RunId& run, const Address& host, const std::string& reason);
  void give_account(const RunId& run, const Address& host, const OwnAccount& account);
  void leave(const RunId& run, const Address& host, Retreat retreat, const std::string& reason);

  [[nodiscard]] Status status();
  [[nodiscard]] Pulse pulse();

  // --- Wake-ups, for the view of a minion ---

  [[nodiscard]] bool has_wake(const Address& host) const { return wakes_.contains(host); }
  void consume_wake(const Address& host) { wakes_.erase(host); }
  /// `woken` is called at each wake-up of a host, until the listener with this key is removed.
  void add_listener(const void* key, std::function<void()> woken);
  void remove_listener(const void* key) { listeners_.erase(key); }

 private:
  // Without functions there is no run.
  [[nodiscard]] bool is_current(const RunId& run) const {
    return has_functions && run_ && run_->info.id == run;
  }
  [[nodiscard]] std::optional<std::string> plain_task() const;
  void wake_waiting();
  void wake_all();
  [[nodiscard]] std::vector<std::string> seen_lately() const;
  [[nodiscard]] bool is_silent(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> known_silent() const;
  /// Why a host may not join with this id; nothing if it may.
  [[nodiscard]] std::optional<JoinOutcome> identify(const Address& host, const HostId& id);
  [[nodiscard]] bool is_live(const Address& host) const;
  [[nodiscard]] bool is_at_work(const Address& host) const;
  [[nodiscard]] bool has_moved(const std::string& name) const;
  void move(const Address& old);
  void retreat(const Address& host, Retreat how);
  /// Keeps the account of the run that ends.
  void keep_account();
  [[nodiscard]] bool is_seat_kept(const Address& host) const;
  [[nodiscard]] std::string masters_work() const;

  std::uint64_t advanced_ms_ = 1'000'000'000'000;
  const Clock* clock_ = nullptr;
  Instant clock_start_;
  std::size_t lookups_ = 0;
  std::optional<FakeRun> run_;
  std::vector<RunInfo> begun_;
  std::vector<FakeEnd> ended_;
  std::vector<std::string> refusals_;
  std::string masters_work_;
  std::uint64_t masters_work_ms_ = 0;
  std::vector<std::string> works_shown_;
  std::optional<RunId> last_run_;
  std::uint64_t last_begun_ms_ = 0;
  std::optional<LastStatus> last_;
  std::uint64_t last_ended_ms_ = 0;
  std::map<Address, HostAccount> accounts_;  // The run in progress has these.
  std::optional<RunAccount> last_account_;   // Without the accounts of its hosts.
  std::map<Address, HostAccount> last_accounts_;
  bool are_last_named_ = false;  // The last run waited for named hosts alone.
  std::map<Address, std::uint64_t> seen_ms_;
  std::map<Address, HostId> ids_;         // The last id at each address.
  std::map<HostId, Address> address_of_;  // The last address of each id.
  std::map<Address, std::uint64_t> lingers_until_ms_;
  std::set<Address> wakes_;
  std::map<const void*, std::function<void()>> listeners_;
};

}  // namespace libsync::test
