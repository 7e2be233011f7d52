#pragma once

// The Transfer that runs rsync, one process group for each pull or push.
//
// What rsync is told, and what its end means, are values computed from values: the two functions
// below. Facts about rsync 3.2.7 to 3.5.0 that they rest on, all tried:
//
// - Names on standard input (--files-from=- --from0) are taken as they are; positional ones are
//   globbed by the daemon. `FOLDER/./NAME` is NAME on our side.
// - --out-format with %b prints a file's name when its data is complete; %n alone, when it begins.
// - --inplace puts a file at its final name at once, so what was pulled in part stays through any
//   death, and the next pull goes on from there. It implies --partial, which a daemon must allow.
// - With RSYNC_CHECKSUM_LIST=none in its environment a puller agrees with the daemon, which has to
//   know nothing of it, to make no digests; what was there in part it begins from the start, so it
//   is for pulls of what is not there at all. Any mixture of 3.2.7 and 3.5.0 agrees. A daemon older
//   than 3.2 agrees on nothing: the pull ends with status 4, and the host is refused as a source.
// - A puller that may not write more (RLIMIT_FSIZE) says "File too large" and ends with status 11;
//   what it has written stays.
// - The receiver prints a file's name before it closes the file, stats it by its path and sets its
//   mode through a descriptor. So a file may be renamed before rsync's stat, which then fails with
//   status 23, and its mode may be set after ours. --chmod=F0640 makes it the mode that we set; a
//   file that is there in part keeps the mode that it has. The daemon does not see the option.
// - The quick check skips a file of equal size whose mtime is of the same second, --times or not:
//   what has its full length already has to be deleted before it is pulled.
// - TCP_NODELAY at both ends saves a small pull some 80 ms of 116.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "libsync/clock.h"
#include "libsync/transfer.h"
#include "os/process.h"

namespace libsync {

struct RsyncOptions {
  std::filesystem::path program;
  std::string module = "repo";
  std::string push_module = "libsync-push";
  std::uint16_t port = 873;
  std::string user;
  std::filesystem::path password_file;  ///< Empty: none.
  std::string bandwidth_limit;          ///< As rsync's --bwlimit; empty: none.
  int inherited = -1;                   ///< The tick's lock.
};

struct PullVerdict {
  PullEnd end;
  std::string detail;
};

[[nodiscard]] std::vector<std::string> pull_arguments(const RsyncOptions& options,
                                                      const PullRequest& request);
[[nodiscard]] std::vector<std::string> push_arguments(const RsyncOptions& options,
                                                      const PushRequest& request);

/// What rsync's end means. `errors` is what it wrote to its standard error under LC_ALL=C. A
/// complaint that a file of `arrived` is not there any more counts for nothing.
[[nodiscard]] PullVerdict judge(const Address& peer, const ChildEnd& end, const std::string& errors,
                                const std::set<std::string>& arrived = {});

class RsyncTransfer final : public Transfer {
 public:
  RsyncTransfer(RsyncOptions options, Clock& clock);
  ~RsyncTransfer() override;

  [[nodiscard]] TransferId start(const PullRequest& request) override;
  [[nodiscard]] TransferId start(const PushRequest& request) override;
  [[nodiscard]] std::vector<TransferEvent> collect() override;
  void end(TransferId id, const std::string& reason) override;
  void append_descriptors(std::vector<int>& descriptors) const override;
  [[nodiscard]] Instant next_check() const override;
  void end_all() override;

 private:
  struct Running {
    std::unique_ptr<Child> child;
    Address peer;
    Instant deadline;
    Instant moved;            // When bytes were last seen to move.
    std::uint64_t read_then;  // What the child had read by then.
    std::optional<Instant> told_to_end;
    std::string why_told;
    std::set<std::string> arrived;  // Files whose names rsync printed.
  };

  [[nodiscard]] TransferId run(const Address& peer, std::uint64_t bytes, const ChildSpec& spec);
  void check(Running& running);
  void tell_to_end(Running& running, const std::string& reason);

  RsyncOptions options_;
  Clock& clock_;
  std::map<TransferId, Running> running_;
  TransferId next_id_ = 1;
  Instant next_check_;
};

}  // namespace libsync
