// The output of rsync: the names of files, its errors, and its version.

#include "target.h"

#include <array>
#include <set>

#include "rsync/rsync_transfer.h"
#include "rsync/rsync_version.h"

namespace libsync::fuzz {
namespace {

void check_name(std::string_view line, std::set<std::string>& arrived) {
  const auto file = read_arrived(line);
  if (!file) return;
  require(!file->name.empty(), "a file has a name");
  const auto digits = line.substr(0, line.find(' '));
  require(digits.find_first_not_of("0123456789") == std::string_view::npos, "bytes are digits");
  const auto written = std::to_string(file->wire_bytes) + " " + file->name;
  const auto again = read_arrived(written);
  require(again.has_value() && again->name == file->name && again->wire_bytes == file->wire_bytes,
          "a line survives its parts");
  require(line.ends_with(" " + file->name), "the name is the rest of the line");
  arrived.insert(file->name);
}

void check_version(std::string_view line) {
  const auto old = old_version(line);
  if (!old) return;
  require(is_plain_line(*old) && old->size() <= 80, "a version is a short word");
  require(line.starts_with("rsync"), "rsync alone is old");
  // The same word again is the same version.
  require(old_version("rsync  version 3.1.3  protocol version 31").has_value(), "3.1 is old");
}

void check_end(const ChildEnd& end, const std::string& errors, const std::set<std::string>& arrived,
               Absent absent) {
  static const auto peer = Address::parse("10.0.0.7").value();
  const auto verdict = judge(peer, end, errors, arrived, absent);
  require(is_plain_line(verdict.detail), "a verdict is a line");
  require(verdict.detail.empty() == (verdict.end == PullEnd::good), "a failure has words");
  require(verdict.detail.empty() || verdict.detail.find(peer.text()) != std::string::npos,
          "a failure names the host");
  const auto* const exited = std::get_if<Exited>(&end);
  require(exited == nullptr || exited->code != 0 || verdict.end == PullEnd::good, "0 is good");
  require(verdict.end != PullEnd::good || exited != nullptr, "a killed rsync failed");
  require(verdict.end != PullEnd::good || exited->code == 0 || exited->code == 23,
          "a status other than 0 and 23 is a failure");
  const bool is_fault = absent == Absent::is_fault;
  if (is_fault && arrived.empty() && exited != nullptr && exited->code != 0) {
    require(verdict.end != PullEnd::good, "without files nothing is late");
  }
}

}  // namespace

void check(std::string_view input) {
  std::set<std::string> arrived;
  for (const auto line : lines_of(input)) {
    check_name(line, arrived);
    check_version(line);
  }
  const std::string errors(input);
  // rsync repeats its status in its last line. Any other status may come with the same words.
  constexpr std::array kCodes = {23, 0, 1, 23, 5, 10, 23, 11, 12, 23, 20, 24, 23, 30, 35, 255};
  const int code = kCodes[input.size() % kCodes.size()];
  const auto absent = input.size() % 3 == 0 ? Absent::is_ignored : Absent::is_fault;
  check_end(Exited{code}, errors, arrived, absent);
  if (input.size() % 2 == 0) check_end(Exited{code}, errors, {}, absent);
  if (code == 0) check_end(Signalled{9}, errors, arrived, absent);
}

}  // namespace libsync::fuzz
