#include "feed/host_probes.h"

#include <algorithm>
#include <array>
#include <map>

#include "libsync/core/state_folder_name.h"
#include "os/files.h"
#include "os/removal.h"
#include "os/stop_signal.h"

namespace libsync {
namespace {

// More than the content of a probe.
constexpr std::uint64_t kLargestProbe = 256;
constexpr unsigned kFolderMode = 0700;

struct Running {
  std::size_t host;
  Instant until;
  std::filesystem::path folder;
  bool is_ending = false;
};

class Probes {
 public:
  Probes(Transfer& transfer, const std::vector<Address>& hosts, const std::filesystem::path& into)
      : transfer_(transfer), hosts_(hosts), into_(into) {}

  [[nodiscard]] bool is_done() const { return next_ == hosts_.size() && running_.empty(); }

  void start(Instant now) {
    for (; next_ < hosts_.size() && running_.size() < ProbeLimits::at_once; ++next_) {
      auto folder = into_ / std::to_string(next_);
      make_folder(folder, kFolderMode);
      const auto id = transfer_.start(PullRequest{.source = hosts_[next_],
                                                  .folder = std::string(kStateFolderName),
                                                  .names = {"probe"},
                                                  .into = folder,
                                                  .largest = kLargestProbe});
      running_.emplace(id, Running{next_, now + ProbeLimits::each, std::move(folder)});
    }
  }

  void start_no_more() {
    result_.not_tried += hosts_.size() - next_;
    next_ = hosts_.size();
  }

  void end_late(Instant now) {
    for (auto& [id, running] : running_) {
      if (running.is_ending || now < running.until) continue;
      running.is_ending = true;
      transfer_.end(id, "has not answered within 3 s");
    }
  }

  void collect() {
    for (const auto& event : transfer_.collect()) {
      const auto* const ended = std::get_if<TransferEnded>(&event);
      if (ended == nullptr) continue;
      const auto found = running_.find(ended->id);
      if (found == running_.end()) continue;
      judge(*ended, hosts_[found->second.host]);
      static_cast<void>(try_remove_tree(found->second.folder));
      running_.erase(found);
    }
  }

  // When something is due even if no descriptor is readable.
  [[nodiscard]] Instant due() const {
    auto due = transfer_.next_check();
    for (const auto& [id, running] : running_) {
      if (!running.is_ending) due = std::min(due, running.until);
    }
    return due;
  }

  [[nodiscard]] HostProbes result() && {
    std::sort(result_.faults.begin(), result_.faults.end(),
              [](const HostFault& one, const HostFault& other) { return one.host < other.host; });
    return std::move(result_);
  }

 private:
  // A daemon that has no free connection, or no such file, serves its module.
  void judge(const TransferEnded& ended, const Address& host) {
    const auto end = ended.end;
    if (end == PullEnd::good || end == PullEnd::busy || end == PullEnd::missing) {
      ++result_.served;
    } else {
      result_.faults.push_back({host, ended.detail});
    }
  }

  Transfer& transfer_;
  const std::vector<Address>& hosts_;
  const std::filesystem::path& into_;
  std::size_t next_ = 0;
  std::map<TransferId, Running> running_;
  HostProbes result_;
};

}  // namespace

HostProbes probe_hosts(Transfer& transfer, Clock& clock, const std::vector<Address>& hosts,
                       const std::filesystem::path& into, const StopSignal* stop) {
  Probes probes(transfer, hosts, into);
  const Instant last_start = clock.now() + ProbeLimits::all - ProbeLimits::each;
  while (true) {
    probes.end_late(clock.now());
    probes.collect();
    if (clock.now() >= last_start || (stop != nullptr && stop->requested())) probes.start_no_more();
    probes.start(clock.now());
    if (probes.is_done()) return std::move(probes).result();
    std::vector<int> descriptors;
    transfer.append_descriptors(descriptors);
    clock.wait(std::min(probes.due(), std::max(last_start, clock.now())), descriptors);
  }
}

}  // namespace libsync
