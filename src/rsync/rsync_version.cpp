#include "rsync/rsync_version.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "os/process.h"
#include "os/stop_signal.h"

namespace libsync {
namespace {

// `rsync --version` lasts 5 ms. One that hangs keeps a tick no longer than this.
constexpr Duration kPatience{5000};

// The oldest release whose daemon agrees to make no digests.
constexpr std::pair<unsigned, unsigned> kOldest{3, 2};

// A version is a short word; the rest of a longer one is not shown.
constexpr std::size_t kLongestVersion = 20;

// Removes `word` and the spaces behind it. False if `text` does not begin with it.
bool skip(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return true;
}

bool skip_number(std::string_view& text, unsigned& number) {
  const auto* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  return true;
}

}  // namespace

std::optional<std::string> old_version(std::string_view line) {
  // rsync  version 3.1.3  protocol version 31
  if (!skip(line, "rsync") || !skip(line, "version")) return std::nullopt;
  static_cast<void>(skip(line, "v"));
  const auto word = line.substr(0, line.find(' ')).substr(0, kLongestVersion);
  std::pair<unsigned, unsigned> version;
  if (!skip_number(line, version.first) || !skip(line, ".") || !skip_number(line, version.second) ||
      version >= kOldest) {
    return std::nullopt;
  }
  return escaped(word);
}

void require_new_rsync(const std::filesystem::path& program, Clock& clock, const StopSignal* stop) {
  auto child = Child::start({program, {"--version"}, {"PATH=/usr/bin:/bin", "LC_ALL=C"}, "", -1});
  const auto until = clock.now() + kPatience;
  std::vector<std::string> lines;
  bool has_ended = false;
  while (lines.empty() && !has_ended && clock.now() < until) {
    if (stop != nullptr && stop->requested()) return;
    std::vector<int> descriptors;
    if (stop != nullptr) descriptors.push_back(stop->descriptor());
    child.append_descriptors(descriptors);
    clock.wait(until, descriptors);
    // The order matters: a child that has ended has written all its lines.
    has_ended = child.ended().has_value();
    lines = child.lines();
    static_cast<void>(child.errors());
  }
  if (lines.empty()) return;
  if (const auto version = old_version(lines.front())) {
    throw Failure(ExitStatus::no_source, Remedy::operator_acts,
                  fmt::format("rsync {} at '{}' is older than 3.2, and its daemon can serve no "
                              "peer: update it to 3.2.7 or newer",
                              *version, escaped(program.string())));
  }
}

}  // namespace libsync
