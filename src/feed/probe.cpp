#include "feed/probe.h"

#include "libsync/core/run_ids.h"
#include "os/files.h"
#include "os/random.h"
#include "os/removal.h"

namespace libsync {

void Probe::start(const std::filesystem::path& into) {
  content_ = random_name<Token>().text();
  const auto name = state_.write_probe(content_);
  arrived_ = into / name;
  // rsync skips a file of the same size and second, so an earlier copy must go.
  remove_tree(arrived_);
  id_ = transfer_.start(PullRequest{.source = self_,
                                    .folder = ".libsync",
                                    .names = {name},
                                    .into = into,
                                    .largest = content_.size()});
}

std::optional<std::string> Probe::fault(const TransferEnded& ended) {
  id_.reset();
  if (ended.end != PullEnd::good) return ended.detail;
  if (read_file(arrived_, content_.size()) == content_) return std::nullopt;
  return "its module exports another folder than --repo: correct one of them";
}

}  // namespace libsync
