#pragma once

// The Transfer that runs rsync, one process group for each pull or push.
//
// Pure functions compute the arguments of rsync here, and the meaning of its end in pull_verdict.h.
// They rest on these facts about rsync 3.2.7 to 3.5.0, all tried:
//
// - rsync uses names on standard input (--files-from=- --from0) as they are. The daemon globs
//   positional ones. `FOLDER/./NAME` becomes NAME on our side.
// - --out-format with %b prints the name of a file when its data is complete. With %n alone, rsync
//   prints it when the file begins.
// - --inplace writes a file under its final name. So a partial file survives any death, and the
//   next pull continues there. The option implies --partial, which a daemon must allow.
// - RSYNC_CHECKSUM_LIST=none in its environment makes a puller agree with the daemon on no digests.
//   Any mixture of 3.2.7 and 3.5.0 agrees, and the daemon needs no setting.
// - Without digests, rsync pulls a partial file again from its start. So pulls of partial files
//   have digests.
// - A daemon older than 3.2 agrees on nothing. Then the pull ends with status 4, and the host is
//   refused as a source.
// - A puller at its size limit (RLIMIT_FSIZE) says "File too large" and ends with status 11. The
//   file keeps its bytes so far.
// - The receiver prints the name of a file before it closes the file. Then it stats the file by its
//   path and sets its mode through a descriptor. If we rename the file
//   first, the stat fails and rsync ends with status 23. If we set the mode first, rsync sets it
//   again; --chmod=F0640 makes both modes the same. A partial file keeps the mode that it has. The
//   daemon does not see the option.
// - The quick check skips a file of the same size and mtime second, with or without --times. So a
//   file of full length must be deleted before it is pulled again.
// - A daemon that refuses --ignore-missing-args by '*' obeys it in part: it lists each absent file
//   with mode 0. A receiver 3.5.0 refuses that ("invalid file mode 00") unless it comes first.
//   Without the option the daemon complains about each absent file, and sends the others.
// - TCP_NODELAY at both ends saves a small pull most of its time: ./tests/bench/small

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "libsync/clock.h"
#include "libsync/transfer.h"
#include "os/process.h"
#include "rsync/pull_verdict.h"

namespace libsync {

/// Options of all transfers of a program.
struct RsyncOptions {
  std::filesystem::path program;
  std::string module = "repo";
  std::string push_module = "libsync-push";
  std::uint16_t port = 873;
  std::string user;                     ///< Empty: none.
  std::filesystem::path password_file;  ///< Empty: none.
  std::string bandwidth_limit;          ///< As rsync's --bwlimit; empty: none.
  int inherited = -1;                   ///< Descriptor of the tick's lock, which rsync inherits.
};

/// The command lines of rsync, without the program's name.
[[nodiscard]] std::vector<std::string> pull_arguments(const RsyncOptions& options,
                                                      const PullRequest& request);
[[nodiscard]] std::vector<std::string> push_arguments(const RsyncOptions& options,
                                                      const PushRequest& request);

/// A file that a line of rsync's output names, and the bytes that it cost on the wire.
struct ArrivedFile {
  std::uint64_t wire_bytes;
  std::string name;
};

/// Nothing, unless the line is `BYTES NAME`, as --out-format asks for it.
[[nodiscard]] std::optional<ArrivedFile> read_arrived(std::string_view line);

class RsyncTransfer final : public Transfer {
 public:
  RsyncTransfer(RsyncOptions options, Clock& clock);
  ~RsyncTransfer() override;

  using Transfer::start;
  [[nodiscard]] TransferId reserve() override { return next_id_++; }
  void start(TransferId reserved, const PullRequest& request) override;
  void start(TransferId reserved, const PushRequest& request) override;
  [[nodiscard]] std::vector<TransferEvent> collect() override;
  void end(TransferId id, const std::string& reason) override;
  void append_descriptors(std::vector<int>& descriptors) const override;
  [[nodiscard]] Instant next_check() const override;
  void end_all() override;

 private:
  struct Running {
    std::unique_ptr<Child> child;
    Address peer;
    std::filesystem::path into;                // Empty for a push.
    std::vector<std::filesystem::path> files;  // Files that grow as it writes them.
    std::uint64_t largest = 0;                 // Most bytes of one file.
    Instant moved;                             // When bytes moved last.
    std::uint64_t progress = 0;                // Bytes read and written by then.
    std::optional<Instant> ending;             // When the child got TERM.
    std::string why_ending;
    std::set<std::string> arrived;  // Files whose names rsync printed.
    Absent absent = Absent::is_fault;
  };

  Running& run(TransferId id, const Address& peer, const ChildSpec& spec);
  [[nodiscard]] PullVerdict verdict_on(const Running& running, const ChildEnd& end,
                                       const std::string& errors);
  // Ends a transfer that stalls, and kills one that does not obey TERM. True if bytes have moved.
  [[nodiscard]] bool check(Running& running);
  void begin_ending(Running& running, const std::string& reason);

  RsyncOptions options_;
  Clock& clock_;
  std::map<TransferId, Running> running_;
  std::set<Address> refusing_;  // Peers whose daemons refuse --ignore-missing-args.
  TransferId next_id_ = 1;
  Instant next_check_;
};

}  // namespace libsync
