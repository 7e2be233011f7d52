#include "feed/probe.h"

#include "libsync/core/run_ids.h"
#include "libsync/core/state_folder_name.h"
#include "os/files.h"
#include "os/random.h"
#include "os/removal.h"

namespace libsync {
namespace {

// Nine pauses are longer than most pulls of a piece. Guards, not tuned.
constexpr Duration kBusyPause{1000};
constexpr unsigned kTriesAtMost = 10;

}  // namespace

void Probe::start(const std::filesystem::path& into) {
  content_ = random_name<Token>().text();
  arrived_ = into / state_.write_probe(content_);
  busy_ = 0;
  pull();
}

void Probe::pull() {
  again_ = Instant::max();
  // rsync skips a file of the same size and second, so an earlier copy must go.
  remove_tree(arrived_);
  id_ = transfer_.start(PullRequest{.source = self_,
                                    .folder = std::string(kStateFolderName),
                                    .names = {arrived_.filename()},
                                    .into = arrived_.parent_path(),
                                    .largest = content_.size()});
}

void Probe::step(Instant now) {
  if (now >= again_) pull();
}

std::optional<ProbeVerdict> Probe::on(const TransferEnded& ended, Instant now) {
  id_.reset();
  if (ended.end == PullEnd::busy && ++busy_ < kTriesAtMost) {
    again_ = now + kBusyPause;
    return std::nullopt;
  }
  if (ended.end != PullEnd::good) return ProbeVerdict{ended.detail};
  if (read_file(arrived_, content_.size()) == content_) return ProbeVerdict{};
  return ProbeVerdict{"its module exports another folder than --repo: correct one of them"};
}

}  // namespace libsync
