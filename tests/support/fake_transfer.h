#pragma once

// A Transfer for unit tests, without rsync and without a network.
//
// A test can deliver the events of each transfer by hand: arrive(), finish(). Or it gives a peer a
// folder, which is the one that the rsync module of the peer exports: serve().
//
// Transfers with such a peer copy real files. Each collect() brings at most one file of each, or
// its end, so that a test can stop between any two files.

#include <cstddef>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "call_faults.h"
#include "libsync/transfer.h"
#include "os/descriptor.h"

namespace libsync::test {

/// The Failure that start() throws without rsync.
[[nodiscard]] Failure rsync_missing();

class FakeTransfer final : public Transfer {
 public:
  using Request = std::variant<PullRequest, PushRequest>;

  struct Started {
    TransferId id;
    Request request;
  };

  FakeTransfer();

  CallFaults faults{rsync_missing()};

  // --- Acts of a test ---

  /// Pulls from `peer` and pushes to it copy files from now on. `module`: the repo of the peer.
  void serve(const Address& peer, std::filesystem::path module);

  /// The daemon of the peer does not answer any more: transfers end as unreachable.
  void silence(const Address& peer) { silent_.push_back(peer); }

  /// The `nth` transfer started from now ends so, after `files` files. The next one is number 1.
  void end_as(std::size_t nth, PullEnd end, std::size_t files = 0);

  /// A file has arrived, as far as rsync knows. The test has put it there.
  void arrive(TransferId id, const std::string& name, std::uint64_t wire_bytes = 0);

  void finish(TransferId id, PullEnd end, const std::string& detail = {});

  // --- Results for a test ---

  /// All that were started, in their order.
  [[nodiscard]] const std::vector<Started>& started() const { return started_; }
  /// Those that have not ended, as far as the owner can know.
  [[nodiscard]] std::vector<TransferId> running() const;
  /// The pulls that named `name`.
  [[nodiscard]] std::vector<PullRequest> pulls_of(const std::string& name) const;
  /// Why the owner ended a transfer; nothing if it did not.
  [[nodiscard]] std::optional<std::string> ended_for(TransferId id) const;

  // --- The seam ---

  using Transfer::start;
  [[nodiscard]] TransferId reserve() override { return next_id_++; }
  void start(TransferId reserved, const PullRequest& request) override;
  void start(TransferId reserved, const PushRequest& request) override;
  [[nodiscard]] std::vector<TransferEvent> collect() override;
  void end(TransferId id, const std::string& reason) override;
  void append_descriptors(std::vector<int>& descriptors) const override;
  [[nodiscard]] Instant next_check() const override { return Instant::max(); }
  void end_all() override;

 private:
  // One that copies files of a peer's folder.
  struct Copying {
    TransferId id;
    std::filesystem::path from;
    std::filesystem::path to;
    std::deque<std::string> names;
    std::uint64_t largest;
    Absent absent;
    bool is_pull;
    std::optional<PullEnd> fated;  // Its end, if the test has chosen one.
    std::size_t files_left;
  };

  struct Fate {
    std::size_t left;
    PullEnd end;
    std::size_t files;
  };

  void begin(TransferId id, const Request& request);
  void script(TransferId id, const Request& request);
  [[nodiscard]] std::optional<Fate> next_fate();
  void step(Copying& copying);
  void say(TransferEvent event);
  void signal() const;

  std::map<Address, std::filesystem::path> modules_;
  std::vector<Address> silent_;
  std::vector<Fate> fates_;
  TransferId next_id_ = 1;
  std::vector<Started> started_;
  std::vector<TransferId> running_;
  std::map<TransferId, std::string> ended_for_;
  std::vector<Copying> copying_;
  std::vector<TransferEvent> events_;
  Descriptor ready_;  // Readable while collect() has something to do.
};

}  // namespace libsync::test
