#include "rsync/rsync_transfer.h"

#include <fmt/format.h>

#include <algorithm>

#include "libsync/core/number.h"
#include "libsync/core/served_modes.h"
#include "libsync/core/state_folder_name.h"

namespace libsync {
namespace {

// Interval at which the bytes of transfers are checked. A stall is found this much late.
constexpr Duration kCheckEvery{500};
// So the first check after TERM comes before the farewell is over, and sets the next one.
static_assert(kCheckEvery <= TransferLimits::farewell);
// The keep-alives that rsync exchanges every few seconds are smaller than this.
constexpr std::uint64_t kKeepAliveBytes = 4096;

// The complete environment of rsync. No variable of our own passes through, because
// RSYNC_CONNECT_PROG and the aliases of popt run programs.
std::vector<std::string> environment() {
  return {"PATH=/usr/bin:/bin", "LC_ALL=C", "HOME=/nonexistent"};
}

// rsync makes no digests of its own, because the announced ones prove each file. This saves a tenth
// of the processor time: ./tests/bench/loopback. A daemon may refuse the option of the same
// meaning, but not a variable. It must be "none" alone: with other names behind it the ends of
// rsync 3.5.0 disagree.
constexpr std::string_view kNoDigestOfItsOwn = "RSYNC_CHECKSUM_LIST=none";

// The files that have no bytes yet. The others begin with partial or old bytes.
std::vector<std::filesystem::path> empty_files(const PullRequest& request) {
  std::vector<std::filesystem::path> files;
  for (const auto& name : request.names) {
    auto file = request.into / name;
    std::error_code unknown;
    const auto bytes = std::filesystem::file_size(file, unknown);
    if (unknown || bytes == 0) files.push_back(std::move(file));
  }
  return files;
}

// The bytes that a transfer has read and written. Where no process may see what another one reads,
// the files that were empty still grow. The size of another one says nothing.
std::uint64_t progress_of(const Child& child, const std::vector<std::filesystem::path>& files) {
  auto progress = child.bytes_read();
  for (const auto& file : files) {
    std::error_code missing;
    const auto bytes = std::filesystem::file_size(file, missing);
    if (!missing) progress += bytes;
  }
  return progress;
}

std::string joined(const std::vector<std::string>& names, const std::string& folder) {
  std::string text;
  for (const auto& name : names) {
    if (!folder.empty()) text.append(folder).append("/./");
    text.append(name).push_back('\0');
  }
  return text;
}

std::string url(const RsyncOptions& options, const Address& peer, const std::string& module) {
  return fmt::format("rsync://{}{}{}/{}/", options.user, options.user.empty() ? "" : "@",
                     peer.in_url(), module);
}

std::vector<std::string> common_arguments(const RsyncOptions& options) {
  std::vector<std::string> all{"--no-motd",
                               "--sockopts=TCP_NODELAY",
                               "--contimeout=10",
                               "--timeout=60",
                               fmt::format("--port={}", options.port),
                               "--files-from=-",
                               "--from0",
                               "--outbuf=L",
                               "--out-format=%b %n"};
  if (!options.password_file.empty()) {
    all.push_back("--password-file=" + options.password_file.string());
  }
  if (!options.bandwidth_limit.empty()) all.push_back("--bwlimit=" + options.bandwidth_limit);
  return all;
}

}  // namespace

std::vector<std::string> pull_arguments(const RsyncOptions& options, const PullRequest& request) {
  auto all = common_arguments(options);
  all.emplace_back("--inplace");
  all.push_back(fmt::format("--chmod=F{:04o}", kServedFileMode));
  if (request.absent == Absent::is_ignored) all.emplace_back("--ignore-missing-args");
  all.emplace_back("--");
  all.push_back(url(options, request.source, options.module));
  all.push_back(request.into.string() + "/");
  return all;
}

std::vector<std::string> push_arguments(const RsyncOptions& options, const PushRequest& request) {
  auto all = common_arguments(options);
  all.emplace_back("--mkpath");
  all.emplace_back("--");
  all.push_back(request.from.string() + "/");
  // The module for pulls exports the repo. One for pushes alone exports the state folder in it.
  const bool is_of_repo = options.push_module == options.module;
  const auto folder = is_of_repo ? in_state_folder(request.folder) : request.folder;
  all.push_back(url(options, request.target, options.push_module) + folder + "/");
  return all;
}

std::optional<ArrivedFile> read_arrived(std::string_view line) {
  const auto space = line.find(' ');
  if (space == std::string_view::npos || space + 1 == line.size()) return std::nullopt;
  const auto bytes = parse_number<std::uint64_t>(line.substr(0, space));
  if (!bytes) return std::nullopt;
  return ArrivedFile{*bytes, std::string(line.substr(space + 1))};
}

RsyncTransfer::RsyncTransfer(RsyncOptions options, Clock& clock)
    : options_(std::move(options)), clock_(clock), next_check_(clock.now()) {}

RsyncTransfer::~RsyncTransfer() = default;

void RsyncTransfer::start(TransferId reserved, const PullRequest& request) {
  auto asked = request;
  if (refusing_.contains(request.source)) asked.absent = Absent::is_fault;
  ChildSpec spec{options_.program,   pull_arguments(options_, asked),
                 environment(),      joined(request.names, request.folder),
                 options_.inherited, request.largest};
  auto files = empty_files(request);
  // Only an rsync with digests uses the bytes that a file begins with.
  if (files.size() == request.names.size()) spec.environment.emplace_back(kNoDigestOfItsOwn);
  auto& running = run(reserved, request.source, spec);
  running.into = request.into;
  running.files = std::move(files);
  running.largest = request.largest;
  running.absent = request.absent;
}

void RsyncTransfer::start(TransferId reserved, const PushRequest& request) {
  static_cast<void>(run(reserved, request.target,
                        {options_.program, push_arguments(options_, request), environment(),
                         joined(request.names, ""), options_.inherited}));
}

RsyncTransfer::Running& RsyncTransfer::run(TransferId id, const Address& peer,
                                           const ChildSpec& spec) {
  auto child = std::make_unique<Child>(Child::start(spec));
  const auto [added, is_new] =
      running_.emplace(id, Running{.child = std::move(child), .peer = peer, .moved = clock_.now()});
  return added->second;
}

std::vector<TransferEvent> RsyncTransfer::collect() {
  std::vector<TransferEvent> events;
  const bool check_is_due = clock_.now() >= next_check_;
  if (check_is_due) next_check_ = clock_.now() + kCheckEvery;
  for (auto next = running_.begin(); next != running_.end();) {
    auto& [id, running] = *next;
    if (check_is_due && check(running)) events.emplace_back(BytesMoved{id});
    // ended() comes first, so that lines() reads all that the child wrote before its end.
    const auto end = running.child->ended();
    for (const auto& line : running.child->lines()) {
      auto arrived = read_arrived(line);
      if (!arrived) continue;
      running.moved = clock_.now();
      running.arrived.insert(arrived->name);
      events.push_back(FileArrived{id, std::move(arrived->name), arrived->wire_bytes});
    }
    const auto& errors = running.child->errors();
    if (!end) {
      ++next;
      continue;
    }
    auto verdict = verdict_on(running, *end, errors);
    events.push_back(TransferEnded{id, verdict.end, std::move(verdict.detail)});
    next = running_.erase(next);
  }
  return events;
}

PullVerdict RsyncTransfer::verdict_on(const Running& running, const ChildEnd& end,
                                      const std::string& errors) {
  if (running.ending) return {PullEnd::unreachable, running.why_ending};
  auto verdict = judge(running.peer, end, errors, running.arrived, running.absent);
  if (verdict.refuses_to_ignore) refusing_.insert(running.peer);
  if (verdict.is_about_disk && !running.into.empty() && can_write(running.into, running.largest)) {
    verdict.end = PullEnd::unreachable;
    verdict.detail +=
        fmt::format(" (the disk of this host has room: {} says so)", running.peer.text());
  }
  return verdict;
}

bool RsyncTransfer::check(Running& running) {
  const auto now = clock_.now();
  if (running.ending) {
    const Instant over = *running.ending + TransferLimits::farewell;
    if (now >= over) {
      running.child->kill();
    } else {
      next_check_ = std::min(next_check_, over);
    }
    return false;
  }
  const auto progress = progress_of(*running.child, running.files);
  const bool has_moved = progress > running.progress + kKeepAliveBytes;
  if (has_moved) {
    running.progress = progress;
    running.moved = now;
  }
  // A process whose progress nobody can see is in the hands of rsync's own --timeout.
  const bool is_visible = progress > 0;
  if (is_visible && now - running.moved >= TransferLimits::stall) {
    begin_ending(running, "has moved nothing for 60 s");
  }
  return has_moved;
}

void RsyncTransfer::begin_ending(Running& running, const std::string& reason) {
  running.ending = clock_.now();
  running.why_ending = fmt::format("rsync with {} {}: check the host, its disk and the network",
                                   running.peer.text(), reason);
  running.child->terminate();
}

void RsyncTransfer::end(TransferId id, const std::string& reason) {
  const auto found = running_.find(id);
  if (found != running_.end() && !found->second.ending) begin_ending(found->second, reason);
}

void RsyncTransfer::append_descriptors(std::vector<int>& descriptors) const {
  for (const auto& [id, running] : running_) running.child->append_descriptors(descriptors);
}

Instant RsyncTransfer::next_check() const {
  return running_.empty() ? Instant::max() : next_check_;
}

void RsyncTransfer::end_all() {
  for (auto& [id, running] : running_) running.child->terminate();
  const auto until = clock_.now() + TransferLimits::farewell;
  while (!running_.empty() && clock_.now() < until) {
    for (auto next = running_.begin(); next != running_.end();) {
      auto& child = *next->second.child;
      static_cast<void>(child.lines());
      static_cast<void>(child.errors());
      next = child.ended() ? running_.erase(next) : std::next(next);
    }
    std::vector<int> descriptors;
    append_descriptors(descriptors);
    if (!running_.empty()) clock_.wait(until, descriptors);
  }
  running_.clear();
}

}  // namespace libsync
