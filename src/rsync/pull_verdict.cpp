#include "rsync/pull_verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "libsync/core/escaped_text.h"
#include "libsync/core/lines.h"

namespace libsync {
namespace {

constexpr int kPartial = 23;  // rsync's RERR_PARTIAL.

// The complaint of a receiver whose daemon refuses --ignore-missing-args.
constexpr std::string_view kListsAbsentFiles = "invalid file mode 00";

// rsync's first error line, which says most. The daemon repeats the end in later ones.
std::string first_line(const std::string& errors, const Address& peer) {
  for (const auto line : lines_of(errors)) {
    if (line.empty()) continue;
    // rsync gives the name of a host and its address, and the name is the address.
    auto text = escaped(line);
    const auto twice = fmt::format("{0} ({0})", peer.text());
    if (const auto at = text.find(twice); at != std::string::npos) {
      text.replace(at, twice.size(), peer.text());
    }
    return text;
  }
  return "no message";
}

// A text among rsync's errors, with its meaning and the way out.
struct Pattern {
  std::string_view text;
  PullEnd end;
  std::string_view way_out;
  bool is_about_disk = false;
};

constexpr std::array kPatterns = {
    Pattern{kListsAbsentFiles, PullEnd::busy,
            "add !ignore-missing-args to 'refuse options' in its rsyncd.conf"},
    Pattern{"max connections", PullEnd::busy, "raise 'max connections' in its rsyncd.conf"},
    Pattern{"link_stat", PullEnd::missing, "its spool has lost a piece: it hashes it again"},
    Pattern{"send_files failed to open", PullEnd::missing,
            "its daemon cannot read a piece: it hashes its spool again and sets the modes"},
    Pattern{"auth failed", PullEnd::refused,
            "correct --rsync-user and --rsync-password-file here, or the secrets file there"},
    // A daemon hides a module whose 'list' is no from a host that 'hosts allow' leaves out.
    Pattern{"Unknown module", PullEnd::refused,
            "correct --module here, or the name of the module or 'hosts allow' in its rsyncd.conf"},
    Pattern{"daemon-excluded", PullEnd::unreachable,
            "remove 'exclude' and 'filter' of .libsync from its rsyncd.conf"},
    Pattern{"Failed to negotiate a checksum", PullEnd::refused,
            "its rsync is older than 3.2: update it to 3.2.7 or newer"},
    Pattern{"configured to refuse", PullEnd::refused,
            "remove the option from 'refuse options' in its rsyncd.conf"},
    Pattern{"--bwlimit", PullEnd::local, "correct --bwlimit: a rate such as 50m"},
    Pattern{"access denied", PullEnd::refused, "add this host to 'hosts allow' in its rsyncd.conf"},
    Pattern{"chroot failed", PullEnd::refused,
            "make the module's path, or correct its rsyncd.conf"},
    Pattern{"chdir failed", PullEnd::refused, "make the module's path, or correct its rsyncd.conf"},
    Pattern{"password file", PullEnd::local,
            "make --rsync-password-file readable for this user only"},
    Pattern{"File too large", PullEnd::corrupt,
            "it sends more than there is: check its spool, and which program answers there"},
    Pattern{"No space left", PullEnd::local, "free space on the receiving host, where --repo lies",
            true},
    Pattern{"Disk quota", PullEnd::local, "free space on the receiving host, where --repo lies",
            true},
    Pattern{"Read-only file system", PullEnd::local, "mount --repo of the receiving host writable",
            true},
    Pattern{"Connection refused", PullEnd::unreachable, "start its rsync daemon"},
    Pattern{"No route to host", PullEnd::unreachable, "check the network and its firewall"},
    Pattern{"timed out", PullEnd::unreachable, "check the host, the network and its firewall"},
};

bool names_sender(std::string_view text) { return text.find("[sender") != std::string::npos; }

// Whether the receiver or generator wrote a message. The last line of any pull has
// `[generator=3.2.7]`, which is none.
bool names_receiver(std::string_view text) {
  return text.find("eceiver]") != std::string::npos || text.find("enerator]") != std::string::npos;
}

// Whether the words come from the source. rsync repeats the messages and the status of the other
// end, whose full disk is no fault of ours.
bool is_said_by_source(std::string_view errors, std::string_view words) {
  const auto at = errors.find(words);
  const auto begin = errors.rfind('\n', at) + 1;  // npos + 1 is 0.
  const auto line = errors.substr(begin, errors.find('\n', at) - begin);
  return line.starts_with("@ERROR") || names_sender(line);
}

// Whether rsync complains about a file that it brought and that is missing since. The minion
// renames or deletes a file as soon as rsync has printed its name.
bool is_late(std::string_view line, const std::set<std::string>& arrived) {
  if (!names_receiver(line) || !line.ends_with(": No such file or directory (2)")) return false;
  const auto end = line.rfind('"');
  const auto slash = line.rfind('/', end);
  return end != std::string_view::npos && slash != std::string_view::npos &&
         arrived.contains(std::string(line.substr(slash + 1, end - slash - 1)));
}

// Whether the source complains about a file that it does not have.
bool is_about_absent_file(std::string_view line) {
  return names_sender(line) && line.find("link_stat") != std::string_view::npos &&
         line.ends_with(": No such file or directory (2)");
}

template <typename Counts>
std::string lines_without(const std::string& errors, Counts is_left_out) {
  std::string rest;
  for (const auto line : lines_of(errors)) {
    if (!is_left_out(line)) rest.append(line).push_back('\n');
  }
  return rest;
}

// Whether the source lacks files, and nothing else has failed. If it lacks all, it closes the
// connection first.
bool is_absence_alone(const std::string& errors) {
  const auto rest = lines_without(errors, is_about_absent_file);
  if (rest.size() == errors.size()) return false;
  return lines_without(rest,
                       [](std::string_view line) {
                         return line.starts_with("rsync error: ") ||
                                line.find("read error: Connection reset") != std::string_view::npos;
                       })
      .empty();
}

// rsync's last line sums up the others.
bool is_summary_alone(const std::string& errors) {
  return errors.starts_with("rsync error: ") && errors.find('\n') == errors.size() - 1;
}

// The way out if the daemon cannot enter a folder that it should serve; empty if it can.
std::string_view way_into_folder(std::string_view errors) {
  const auto at = errors.find("change_dir");
  if (at == std::string_view::npos || !is_said_by_source(errors, "change_dir")) return "";
  const auto line = errors.substr(at, errors.find('\n', at) - at);
  if (line.find("Permission denied") != std::string_view::npos) {
    return "let the module's user enter its path and read --repo there";
  }
  return "let the module's path be --repo, and drop 'exclude' and 'filter', in its rsyncd.conf";
}

PullVerdict by_status(int code, const std::string& errors) {
  switch (code) {
    case 1:
    case 2:
    case 4:
      return {PullEnd::refused, "run a current rsync on both hosts"};
    case 3:
    case 11:
    case 13:
    case 14:
    case 15:
    case 16:
    case 21:
    case 22:
      if (names_sender(errors) && !names_receiver(errors)) break;
      return {PullEnd::local, "check this host's disk and memory", true};
    case kPartial:
      if (names_receiver(errors) && errors.find("sender]") == std::string::npos) {
        return {PullEnd::local, "check this host's disk and permissions", true};
      }
      return {PullEnd::unreachable, "let the module's user read --repo there"};
    default:
      break;
  }
  return {PullEnd::unreachable, "check the host, its rsyncd and the network"};
}

}  // namespace

PullVerdict judge(const Address& peer, const ChildEnd& end, const std::string& all_errors,
                  const std::set<std::string>& arrived, Absent absent) {
  if (const auto* const signalled = std::get_if<Signalled>(&end)) {
    return {
        PullEnd::local,
        fmt::format("rsync with {} was killed by signal {}: see the kernel's log (out of memory?)",
                    peer.text(), signalled->signal)};
  }
  const int code = std::get<Exited>(end).code;
  if (code == 0) return {PullEnd::good, ""};
  const auto errors =
      lines_without(all_errors, [&](std::string_view line) { return is_late(line, arrived); });
  if (code == kPartial) {
    const bool was_late_alone = errors.size() < all_errors.size() && is_summary_alone(errors);
    const bool is_ignored = absent == Absent::is_ignored && is_absence_alone(errors);
    if (was_late_alone || is_ignored) return {PullEnd::good, ""};
  }
  for (const auto& pattern : kPatterns) {
    if (errors.find(pattern.text) == std::string::npos) continue;
    if (pattern.end != PullEnd::local || !is_said_by_source(errors, pattern.text)) {
      return {pattern.end,
              fmt::format("rsync with {}: {}: {}", peer.text(), first_line(errors, peer),
                          pattern.way_out),
              pattern.is_about_disk, pattern.text == kListsAbsentFiles};
    }
  }
  auto verdict = by_status(code, errors);
  const auto way_in = way_into_folder(errors);
  if (verdict.end == PullEnd::unreachable && !way_in.empty()) verdict.detail = way_in;
  verdict.detail = fmt::format("rsync with {} ended with status {}: {}: {}", peer.text(), code,
                               first_line(errors, peer), verdict.detail);
  return verdict;
}

}  // namespace libsync
