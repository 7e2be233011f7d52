#pragma once

// One run in the memory of a test: hosts, sources, claims under leases, blame, and seats.
//
// FakeRun keeps the promises of the seams (minion_coordinator.h). It does not choose as Redis does
// among equals: a host gets the lowest useful pieces of the source with the fewest busy uploads.
// The same calls at the same times give the same answers.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "libsync/minion_coordinator.h"
#include "libsync/observer.h"

namespace libsync::test {

/// The time between two moments in ms.
[[nodiscard]] inline std::chrono::milliseconds since(std::uint64_t then_ms, std::uint64_t now_ms) {
  return std::chrono::milliseconds(now_ms - then_ms);
}

struct FakeHost {
  PieceSet have;
  unsigned slots = 0;
  PieceNumber in_place = 0;
  std::optional<std::uint64_t> finished_ms;
  std::string error;
  std::string feed_fault;
  std::string hook_fault;
  std::string work;  ///< As in HostStatus.
  std::optional<Want> waits_for;
  bool is_running = false;          ///< It pulls along trees.
  bool is_suspect = false;          ///< It has to reverify its spool.
  std::uint64_t quarantine_ms = 0;  ///< No source until then.
  std::set<Address> found_slow_by;
  std::map<PullEnd, std::set<Address>> strikes;   ///< Accusers by what they met.
  std::map<Address, std::uint64_t> kept_away_ms;  ///< Accuser: no claim on this host until then.
};

struct FakeClaim {
  Address puller;
  Address source;
  std::vector<PieceNumber> pieces;
  std::uint64_t lapses_ms = 0;
  std::uint64_t granted_ms = 0;
};

class FakeRun {
 public:
  FakeRun(RunInfo begun, unsigned origin_slots);

  // The parts of the verbs of FakeSharedState. `now` is the clock of the shared state, in ms.

  [[nodiscard]] FakeHost& host(const Address& address);
  [[nodiscard]] View view(const Address& host, std::uint64_t now);

  /// Records what a host has, unless the host is the origin and the master fills its spool.
  void hold(const Address& host, const Holdings& holdings);
  void report(const Address& host, const Holdings& holdings, unsigned slots, Clearance clearance,
              std::uint64_t now);
  void stage(const std::vector<StagedPiece>& pieces, RunState final_state);

  [[nodiscard]] ClaimOutcome claim(const Address& host, const Want& want, std::uint64_t now);
  void release(const Token& token);
  void release_all(const Address& host);
  /// The claim has brought its pieces.
  void measure(const FakeClaim& claim, std::uint64_t now);
  void reap(std::uint64_t now);

  void accuse(const Address& accuser, const Address& source, PullEnd end, std::uint64_t now);
  void absolve(const Address& accuser, const Address& source);
  void clear(const Address& host);

  /// Ends the waits of hosts that can be served now, of no more than there are free slots.
  [[nodiscard]] std::vector<Address> end_servable_waits(std::uint64_t now);

  [[nodiscard]] Seat seat_of(const Address& host, const PieceSet& known);
  void vacate(const Address& host);
  void feed_back(const Address& host, const ParentFeedback& feedback, std::uint64_t now);

  /// `in_place` pieces are in place on a host from now on.
  void progress(const Address& host, std::size_t in_place, std::uint64_t now);
  /// The pieces that hosts have placed since a time.
  [[nodiscard]] std::size_t placed_since(std::uint64_t then) const;

  [[nodiscard]] bool is_masters_spool(const Address& host) const;
  [[nodiscard]] std::vector<StagedPiece> announced_of(const std::vector<PieceNumber>& pieces) const;
  /// Adds a host that is not expected yet. True if it is new.
  bool volunteer(const Address& host);
  [[nodiscard]] bool has_finished(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> missing() const;
  [[nodiscard]] std::size_t finished() const;
  [[nodiscard]] std::size_t expected() const;
  [[nodiscard]] std::size_t claims_of(const Address& host) const;
  [[nodiscard]] unsigned uploads_of(const Address& host) const;

  RunInfo info;
  std::map<PieceNumber, StagedPiece> announced;
  std::map<Address, FakeHost> hosts;
  std::map<Token, FakeClaim> claims;
  Duration usual_piece{0};  ///< The time of the last piece by a claim.
  std::set<std::string> expected_hosts;
  std::set<std::string> joined_hosts;          ///< The master has not admitted them yet.
  std::set<std::string> other_hosts;           ///< The run does not wait for these.
  std::map<std::uint64_t, std::size_t> moves;  ///< When hosts placed pieces, and how many.
  std::set<std::string> ticking;               ///< A tick of the host is at work in the run.
  bool is_named = false;                       ///< Only named hosts count.
  std::size_t expected_count = 0;
  std::size_t known_at_begin = 0;
  std::uint64_t joined_ms = 0;
  std::optional<std::uint64_t> overtaken_ms;
  std::optional<TaskPath> waiting_task;
  bool is_undelivered = false;  ///< The origin lacks what was pushed to it.

  /// Seats in their order. A host pulls along tree t from the host t + 1 seats before it, or from
  /// the origin, unless the test has set the parents.
  std::vector<Address> seats;
  std::map<Address, std::vector<std::optional<Address>>> parents;
  std::set<Address> set_aside;
  std::size_t trees = 2;

 private:
  [[nodiscard]] bool is_offering(const Address& host, std::uint64_t now);
  [[nodiscard]] std::vector<Address> sources_for(const Address& host, std::uint64_t now);
  [[nodiscard]] std::vector<PieceNumber> useful(const Address& source, const Want& want);
  [[nodiscard]] std::optional<FakeClaim> find(const Address& host, const Want& want,
                                              std::uint64_t now);
};

}  // namespace libsync::test
