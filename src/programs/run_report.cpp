#include "programs/run_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "libsync/core/escaped_text.h"
#include "libsync/core/host_ranges.h"
#include "libsync/core/shown_number.h"
#include "programs/reason_lines.h"
#include "programs/usage_error.h"

namespace libsync {
namespace {

// Hosts in the table of the slowest.
constexpr std::size_t kSlowest = 10;
// Digits of an id that tell ten runs apart.
constexpr std::size_t kShortId = 12;

std::string payload_text(const RunAccount& account) {
  const auto& cut = account.cut;
  return fmt::format("payload  {}, {} pieces of {}, {}{}\n",
                     shown_bytes(static_cast<double>(cut.stream_bytes)), cut.pieces(),
                     shown_bytes(static_cast<double>(std::min(cut.piece_bytes, cut.stream_bytes))),
                     account.has_trees ? "along trees" : "by claims",
                     account.origin ? " from " + account.origin->text() : "");
}

std::string bound_text(const Measured& run) {
  if (!run.bound) return "bound    not known: no host pulled enough to measure its link\n";
  const auto bound = fmt::format("bound    {:.1f} s for {} hosts at {}/s, the fastest link",
                                 in_seconds(*run.bound), run.hosts, shown_bytes(*run.fastest));
  if (!run.all_had_it) return bound + "; not every host had it\n";
  const auto last =
      fmt::format("{}; all had it after {:.1f} s", bound, in_seconds(*run.all_had_it));
  return run.factor ? fmt::format("{}, {:.3g} times that\n", last, *run.factor) : last + "\n";
}

std::string totals_text(const RunAccount& account) {
  const auto& total = account.total;
  auto text = fmt::format("wire     {} in {} pieces; {} pulls failed, {} were duplicates",
                          shown_bytes(static_cast<double>(total.wire_bytes)), total.pieces,
                          total.failed, total.twice);
  if (account.accounts < account.finished) {
    text += fmt::format("; {} of {} hosts gave no account", account.finished - account.accounts,
                        account.finished);
  }
  return text + "\n";
}

std::string reasons_text(const RunAccount& account) {
  HostsByReason failed;
  HostsByReason missing;
  HostsByReason pulls;
  for (const auto& host : account.hosts) {
    const auto& name = host.address.text();
    if (!host.reason.empty() && host.reason != host.error) pulls[host.reason].push_back(name);
    if (host.published) continue;
    if (!host.error.empty()) {
      failed[host.error].push_back(name);
    } else {
      missing[host.has_come ? "gave no reason" : "never came"].push_back(name);
    }
  }
  return reason_lines("failed", failed) + reason_lines("missing", missing) +
         reason_lines("pulls", pulls);
}

std::string time_text(const std::optional<Duration>& time) {
  return time ? fmt::format("{:.1f} s", in_seconds(*time)) : "-";
}

std::string best_source_text(const HostAccount& host) {
  if (host.shares.empty()) return "-";
  const auto& [source, pieces] = host.shares.front();
  const auto all = std::max(pieces, host.pulls.pieces);
  if (all == 0) return source.text();
  return fmt::format("{} {:.0f} %", source.text(), 100.0 * pieces / all);
}

std::string table_text(const RunAccount& account, const Measured& run) {
  const auto hosts = notable_first(account, kSlowest);
  if (hosts.empty()) return "";
  constexpr auto row = "{:<15} {:>9} {:>11} {:>10} {:>10}  {:<20} {}\n";
  auto text = fmt::format(fmt::runtime(row), "slowest hosts", "joined", "first byte", "all bytes",
                          "published", "best source", "delay");
  for (std::size_t i = 0; i < std::min(kSlowest, hosts.size()); ++i) {
    const auto& host = *hosts[i];
    text += fmt::format(fmt::runtime(row), host.address.text(), time_text(host.joined),
                        time_text(host.first_byte), time_text(host.last_byte),
                        time_text(host.published), best_source_text(host),
                        name_of(delay_of(host, account, run.fastest)));
  }
  const auto left = hosts.size() - std::min(kSlowest, hosts.size());
  if (left > 0)
    text += fmt::format("{} other hosts: --json has them, and --svg draws them\n", left);
  if (account.left_out > 0) {
    text +=
        fmt::format("{} hosts, the fastest ones, are left out of the account\n", account.left_out);
  }
  return text;
}

// The runs that are there, as one can name them.
std::string names_of(const std::vector<RunFile>& files) {
  std::string names;
  for (const auto& file : files) {
    if (!names.empty()) names += ", ";
    names +=
        fmt::format("{} ({})", file.run.text().substr(0, kShortId), shown_moment(file.begun_ms));
  }
  return names;
}

}  // namespace

Measured measured(const RunAccount& account) {
  Measured run;
  const bool is_complete = account.outcome == "complete";
  run.hosts = is_complete ? account.finished : std::max(account.finished, account.expected);
  run.fastest = fastest_link(account);
  if (run.fastest) run.bound = bound_of(account.cut, run.hosts, *run.fastest);
  const auto hosts = slowest_first(account);
  if (hosts.empty()) return run;
  run.slowest = hosts.front();
  if (is_complete) run.all_had_it = run.slowest->published;
  if (run.all_had_it && run.bound && run.bound->count() > 0) {
    run.factor = in_seconds(*run.all_had_it) / in_seconds(*run.bound);
  }
  return run;
}

std::string slowest_text(const RunAccount& account, const Measured& run) {
  if (run.slowest == nullptr) return "";
  const auto& host = *run.slowest;
  const auto unfinished = std::count_if(account.hosts.begin(), account.hosts.end(),
                                        [](const HostAccount& one) { return !one.published; });
  std::string which;
  if (host.published) {
    which = fmt::format(", after {:.1f} s", in_seconds(*host.published));
  } else if (unfinished > 1) {
    which = fmt::format(", one of {} that did not finish", unfinished);
  }
  return fmt::format("{}{}: {}", host.address.text(), which, why_slow(host, account, run.fastest));
}

std::vector<const HostAccount*> notable_first(const RunAccount& account, std::size_t most) {
  auto hosts = slowest_first(account);
  const auto finished = std::find_if(hosts.begin(), hosts.end(), [](const HostAccount* host) {
    return host->published.has_value();
  });
  const auto room = static_cast<std::ptrdiff_t>(std::min(most, hosts.size()));
  const auto shown =
      std::min(finished - hosts.begin(), std::max(room / 2, room - (hosts.end() - finished)));
  std::rotate(hosts.begin() + shown, finished, finished + (room - shown));
  return hosts;
}

std::string_view name_of(Delay delay) {
  switch (delay) {
    case Delay::never_came:
      return "never came";
    case Delay::failed:
      return "failed";
    case Delay::unfinished:
      return "not finished";
    case Delay::not_known:
      return "not known";
    case Delay::joined_late:
      return "joined late";
    case Delay::waited:
      return "waited";
    case Delay::slow_link:
      return "slow link";
    case Delay::shared:
      return "busy sources";
    case Delay::failures:
      return "failed pulls";
    case Delay::slow_disk:
      break;
  }
  return "slow disk";
}

std::string shown_moment(std::uint64_t ms_since_1970) {
  const auto seconds = static_cast<std::time_t>(ms_since_1970 / 1000);
  std::tm parts{};
  char text[64] = "";
  if (localtime_r(&seconds, &parts) == nullptr || parts.tm_year > 8099 ||
      std::strftime(text, sizeof text, "%d-%b-%y %H:%M:%S", &parts) == 0) {
    return "at no time of a calendar";
  }
  return text;
}

RunFile chosen_run(const std::vector<RunFile>& files, const std::optional<std::string>& wanted) {
  if (files.empty()) {
    throw UsageError(
        "no run has ended here: a master keeps its runs below its --repo, and its next tick writes "
        "a run that is not there");
  }
  if (!wanted) return files.front();
  if (wanted->empty()) throw UsageError("RUN is empty: leave it out for the latest run");
  std::vector<RunFile> found;
  std::copy_if(files.begin(), files.end(), std::back_inserter(found),
               [&](const RunFile& file) { return file.run.text().starts_with(*wanted); });
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    throw UsageError(fmt::format("no run here has an id that begins with '{}': there are {}",
                                 escaped(*wanted), names_of(files)));
  }
  throw UsageError(fmt::format("several runs have ids that begin with '{}': {}", escaped(*wanted),
                               names_of(found)));
}

std::string run_report_text(const RunAccount& account) {
  const auto run = measured(account);
  auto text = fmt::format(
      "run      {}, begun {}\npath     {}\noutcome  {}: {} of {} hosts in {:.1f} s{}\n",
      account.run.text(), shown_moment(account.begun_ms), escaped(account.path),
      escaped(account.outcome), account.finished, account.expected, in_seconds(account.took),
      account.reason.empty() ? "" : ": " + escaped(account.reason));
  auto slowest = slowest_text(account, run);
  if (!slowest.empty()) slowest = "slowest  " + slowest + "\n";
  return text + payload_text(account) + bound_text(run) + slowest + totals_text(account) +
         reasons_text(account) + "\n" + table_text(account, run);
}

}  // namespace libsync
