#include "fake_transfer.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace libsync::test {
namespace {

constexpr std::size_t kAllFiles = std::numeric_limits<std::size_t>::max();

std::string detail_of(PullEnd end) {
  return end == PullEnd::good ? "" : "the test has this transfer fail";
}

}  // namespace

Failure rsync_missing() {
  return {ExitStatus::no_source, Remedy::operator_acts,
          "rsync is missing: a test has seen to that"};
}

FakeTransfer::FakeTransfer() : ready_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!ready_) throw_disk_failure("make", std::filesystem::path("an eventfd"));
}

// --- Acts of a test, and results for it ---

void FakeTransfer::serve(const Address& peer, std::filesystem::path module) {
  std::erase(silent_, peer);
  modules_.insert_or_assign(peer, std::move(module));
}

void FakeTransfer::end_as(std::size_t nth, PullEnd end, std::size_t files) {
  fates_.push_back({nth, end, files});
}

void FakeTransfer::arrive(TransferId id, const std::string& name, std::uint64_t wire_bytes) {
  say(FileArrived{id, name, wire_bytes});
}

void FakeTransfer::finish(TransferId id, PullEnd end, const std::string& detail) {
  std::erase(running_, id);
  say(TransferEnded{id, end, detail.empty() ? detail_of(end) : detail});
}

std::vector<TransferId> FakeTransfer::running() const { return running_; }

std::vector<PullRequest> FakeTransfer::pulls_of(const std::string& name) const {
  std::vector<PullRequest> all;
  for (const auto& [id, request] : started_) {
    const auto* const pull = std::get_if<PullRequest>(&request);
    if (pull == nullptr) continue;
    if (std::find(pull->names.begin(), pull->names.end(), name) != pull->names.end()) {
      all.push_back(*pull);
    }
  }
  return all;
}

std::optional<std::string> FakeTransfer::ended_for(TransferId id) const {
  const auto found = ended_for_.find(id);
  return found == ended_for_.end() ? std::nullopt : std::optional(found->second);
}

// --- The seam ---

void FakeTransfer::start(TransferId reserved, const PullRequest& request) {
  faults.call("start", [&] { begin(reserved, request); });
}

void FakeTransfer::start(TransferId reserved, const PushRequest& request) {
  faults.call("start", [&] { begin(reserved, request); });
}

std::vector<TransferEvent> FakeTransfer::collect() {
  return faults.call("collect", [&] {
    for (auto& copying : std::vector<Copying>(std::exchange(copying_, {}))) step(copying);
    auto events = std::exchange(events_, {});
    signal();
    return events;
  });
}

void FakeTransfer::end(TransferId id, const std::string& reason) {
  if (std::find(running_.begin(), running_.end(), id) == running_.end()) return;
  ended_for_.insert_or_assign(id, reason);
  std::erase_if(copying_, [&](const Copying& copying) { return copying.id == id; });
  finish(id, PullEnd::unreachable, "rsync with a peer " + reason);
}

void FakeTransfer::append_descriptors(std::vector<int>& descriptors) const {
  descriptors.push_back(ready_.number());
}

void FakeTransfer::end_all() {
  running_.clear();
  copying_.clear();
  events_.clear();
  signal();
}

void FakeTransfer::begin(TransferId id, const Request& request) {
  started_.push_back({id, request});
  running_.push_back(id);
  script(id, request);
  signal();
}

// --- Scripted transfers ---

std::optional<FakeTransfer::Fate> FakeTransfer::next_fate() {
  std::optional<Fate> now;
  for (auto& fate : fates_) {
    if (fate.left > 0 && --fate.left == 0) now = fate;
  }
  return now;
}

void FakeTransfer::script(TransferId id, const Request& request) {
  const auto fate = next_fate();
  const auto* const pull = std::get_if<PullRequest>(&request);
  const auto* const push = std::get_if<PushRequest>(&request);
  const auto& peer = pull != nullptr ? pull->source : push->target;
  const bool is_silent = std::find(silent_.begin(), silent_.end(), peer) != silent_.end();
  const auto module = modules_.find(peer);
  if (module == modules_.end() && !fate && !is_silent) return;  // The test delivers by hand.
  const auto root = module == modules_.end() ? std::filesystem::path() : module->second;
  Copying copying{.id = id,
                  .from = pull != nullptr ? root / pull->folder : push->from,
                  .to = pull != nullptr ? pull->into : root / ".libsync" / push->folder,
                  .names = {},
                  .largest = pull != nullptr ? pull->largest : 0,
                  .absent = pull != nullptr ? pull->absent : Absent::is_fault,
                  .is_pull = pull != nullptr,
                  .fated = std::nullopt,
                  .files_left = kAllFiles};
  const auto& names = pull != nullptr ? pull->names : push->names;
  copying.names.assign(names.begin(), names.end());
  if (fate) {
    copying.fated = fate->end;
    copying.files_left = fate->files;
  } else if (is_silent) {
    copying.fated = PullEnd::unreachable;
    copying.files_left = 0;
  }
  copying_.push_back(std::move(copying));
}

// One file, or the end.
void FakeTransfer::step(Copying& copying) {
  if (copying.names.empty() || copying.files_left == 0) {
    return finish(copying.id, copying.fated.value_or(PullEnd::good));
  }
  const auto name = copying.names.front();
  copying.names.pop_front();
  --copying.files_left;
  const auto from = copying.from / name;
  std::error_code unknown;
  const auto bytes = std::filesystem::file_size(from, unknown);
  if (unknown) {
    if (copying.absent == Absent::is_fault && !copying.fated) copying.fated = PullEnd::missing;
  } else if (copying.is_pull && bytes > copying.largest) {
    return finish(copying.id, PullEnd::corrupt);
  } else {
    constexpr auto kOverwrite = std::filesystem::copy_options::overwrite_existing;
    std::error_code error;
    std::filesystem::create_directories(copying.to, error);
    if (!error) std::filesystem::copy_file(from, copying.to / name, kOverwrite, error);
    if (error) return finish(copying.id, PullEnd::local, error.message());
    if (copying.is_pull) say(FileArrived{copying.id, name, bytes});
  }
  copying_.push_back(std::move(copying));
}

void FakeTransfer::say(TransferEvent event) {
  events_.push_back(std::move(event));
  signal();
}

void FakeTransfer::signal() const {
  eventfd_t count = 0;
  static_cast<void>(eventfd_read(ready_.number(), &count));
  const bool is_due = !events_.empty() || !copying_.empty();
  if (is_due) static_cast<void>(eventfd_write(ready_.number(), 1));
}

}  // namespace libsync::test
