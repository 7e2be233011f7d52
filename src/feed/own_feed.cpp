#include "feed/own_feed.h"

#include <algorithm>

#include "os/files.h"
#include "os/random.h"
#include "os/stop_signal.h"

namespace libsync {
namespace {

// A daemon that serves answers in less than 0.1 s. A guard, not tuned.
constexpr Duration kPatience{5000};
// A daemon without a free connection is asked again. Guards, not tuned.
constexpr Duration kBusyPause{1000};
constexpr int kTriesAtMost = 5;
constexpr unsigned kPrivateMode = 0600;

// Names that a daemon may be asked for: transfer.h.
constexpr auto kProbe = "probe";
constexpr auto kPrivate = "p00000";

TransferEnded end_of(Transfer& transfer, Clock& clock, TransferId id, const StopSignal& stop) {
  Instant until = clock.now() + kPatience;
  while (true) {
    for (auto& event : transfer.collect()) {
      if (auto* const ended = std::get_if<TransferEnded>(&event)) return std::move(*ended);
    }
    if (clock.now() >= until || stop.requested()) {
      transfer.end(id, "has not answered within 5 s");
      until = Instant::max();
    }
    std::vector<int> descriptors;
    transfer.append_descriptors(descriptors);
    clock.wait(std::min(until, transfer.next_check()), descriptors);
  }
}

// Starts the transfer again while the daemon has no free connection.
template <typename Request>
TransferEnded answer_to(const Request& request, Transfer& transfer, Clock& clock,
                        const StopSignal& stop) {
  for (int tries = 1;; ++tries) {
    auto ended = end_of(transfer, clock, transfer.start(request), stop);
    if (ended.end != PullEnd::busy || tries == kTriesAtMost) return ended;
    const Instant again = clock.now() + kBusyPause;
    while (clock.now() < again && !stop.requested()) clock.wait(again, {});
    if (stop.requested()) return ended;
  }
}

}  // namespace

FeedFacts own_feed(Transfer& peer, Transfer* stranger, Clock& clock, const Address& self,
                   const CheckFolder& folder, const StopSignal& stop) {
  const auto content = random_name<Token>().text();
  folder.write(kProbe, content);
  folder.write(kPrivate, content);
  const auto pull = [&](Transfer& transfer, const std::string& name, const std::string& into) {
    return answer_to(PullRequest{.source = self,
                                 .folder = folder.name_in_repo(),
                                 .names = {name},
                                 .into = folder.make(into),
                                 .largest = content.size()},
                     transfer, clock, stop);
  };
  FeedFacts facts;
  const auto ended = pull(peer, kProbe, "peer");
  if (ended.end != PullEnd::good) {
    facts.fault = ended.detail;
    return facts;
  }
  if (read_file(folder.path() / "peer" / kProbe, content.size()) != content) {
    facts.fault =
        "its module exports another folder than --repo: correct one of them, or --address";
    return facts;
  }
  if (stranger != nullptr) {
    facts.asks_no_password = pull(*stranger, kProbe, "stranger").end == PullEnd::good;
  }
  folder.restrict(kPrivate, kPrivateMode);
  facts.reads_private_files = pull(peer, kPrivate, "private").end == PullEnd::good;
  // rsync transfers nothing to a file that is the very same one.
  const PushRequest push{
      .target = self, .from = folder.path(), .names = {kProbe}, .folder = folder.name()};
  facts.is_writable = answer_to(push, peer, clock, stop).end == PullEnd::good;
  return facts;
}

}  // namespace libsync
