#include "libsync/core/run_record.h"

#include <fmt/format.h>

#include <sstream>

#include "libsync/core/number.h"

namespace libsync {
namespace {

std::string_view name_of(Standing standing) {
  switch (standing) {
    case Standing::prepared:
      return "prepared";
    case Standing::running:
      return "running";
    case Standing::ended:
      return "ended";
    case Standing::ended_short:
      break;
  }
  return "ended-short";
}

std::optional<Standing> standing_of(std::string_view text) {
  for (const auto standing :
       {Standing::prepared, Standing::running, Standing::ended, Standing::ended_short}) {
    if (text == name_of(standing)) return standing;
  }
  return std::nullopt;
}

// False if the line is not one that encode() writes.
bool read_line(RunRecord& owner, const std::string& line) {
  const auto space = line.find(' ');
  if (space == std::string::npos) return false;
  const auto key = line.substr(0, space);
  const auto value = line.substr(space + 1);
  if (key == "prefix") {
    owner.prefix = value;
  } else if (key == "task") {
    owner.task = value;
  } else if (key == "host") {
    owner.expected_hosts.push_back(value);
  } else if (key == "piece-bytes") {
    return read_number(value, owner.piece_bytes);
  } else if (key == "begun") {
    return read_number(value, owner.begun_ms);
  } else if (key == "expected") {
    return read_number(value, owner.expected_count);
  } else if (key == "run") {
    const auto run = RunId::parse(value);
    if (run) owner.run = *run;
    return run.has_value();
  } else if (key == "content") {
    const auto content = Fingerprint::parse(value);
    if (content) owner.content = *content;
    return content.has_value();
  } else if (key == "standing") {
    const auto standing = standing_of(value);
    if (standing) owner.standing = *standing;
    return standing.has_value();
  } else {
    return false;
  }
  return true;
}

}  // namespace

std::string encode(const RunRecord& owner) {
  std::string text = fmt::format(
      "prefix {}\nrun {}\ntask {}\npiece-bytes {}\nbegun {}\nstanding {}\nexpected {}\n",
      owner.prefix, owner.run.text(), owner.task, owner.piece_bytes, owner.begun_ms,
      name_of(owner.standing), owner.expected_count);
  for (const auto& host : owner.expected_hosts) text += fmt::format("host {}\n", host);
  // Last: what was cut short has none.
  return text + fmt::format("content {}\n", owner.content.text());
}

std::optional<RunRecord> decode_run_record(Role role, std::string_view text) {
  RunRecord owner;
  owner.role = role;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    if (!read_line(owner, line)) return std::nullopt;
  }
  // Both are always written; without one the file was cut short.
  if (owner.run.text().empty() || owner.content.text().empty()) return std::nullopt;
  return owner;
}

}  // namespace libsync
