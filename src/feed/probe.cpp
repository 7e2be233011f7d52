#include "feed/probe.h"

#include "libsync/core/run_ids.h"
#include "os/files.h"
#include "os/random.h"

namespace libsync {

void Probe::start(const std::filesystem::path& into) {
  content_ = random_name<Token>().text();
  const auto name = state_.write_probe(content_);
  came_ = into / name;
  // rsync takes one of before for this one, if it is of the same second.
  std::filesystem::remove(came_);
  id_ = transfer_.start(PullRequest{.source = self_,
                                    .folder = ".libsync",
                                    .names = {name},
                                    .into = into,
                                    .bytes = content_.size(),
                                    .largest = content_.size(),
                                    .density = Density::dense});
}

std::optional<std::string> Probe::fault(const TransferEnded& ended) {
  id_.reset();
  if (ended.end != PullEnd::good) return ended.detail;
  if (read_file(came_, content_.size()) == content_) return std::nullopt;
  return "its module exports another folder than --repo: correct one of them";
}

}  // namespace libsync
