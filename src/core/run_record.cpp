#include "libsync/core/run_record.h"

#include <fmt/format.h>

#include <sstream>
#include <variant>

#include "libsync/core/address.h"
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

constexpr std::string_view kTask = "task ";

// The task of a record, without which there is none.
std::optional<TaskPath> task_in(std::string_view text) {
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(kTask)) continue;
    auto task = TaskPath::parse(std::string_view(line).substr(kTask.size()));
    if (auto* const checked = std::get_if<TaskPath>(&task)) return std::move(*checked);
    return std::nullopt;
  }
  return std::nullopt;
}

// False if encode() writes no such line.
bool read_line(RunRecord& record, const std::string& line, UnknownKeys unknown) {
  const bool may_be_unknown = unknown == UnknownKeys::are_skipped;
  if (line.starts_with(kTask)) return true;  // task_in() has read it.
  const auto space = line.find(' ');
  if (space == std::string::npos) return may_be_unknown;
  const auto key = line.substr(0, space);
  const auto value = line.substr(space + 1);
  if (key == "prefix") {
    record.prefix = value;
  } else if (key == "host") {
    record.expected_hosts.push_back(value);
    return Address::parse(value).has_value();
  } else if (key == "piece-bytes") {
    // A piece of no bytes cuts nothing.
    return read_number(value, record.piece_bytes) && record.piece_bytes > 0;
  } else if (key == "begun") {
    return read_number(value, record.begun_ms);
  } else if (key == "expected") {
    return read_number(value, record.expected_count);
  } else if (key == "run") {
    const auto run = RunId::parse(value);
    if (run) record.run = *run;
    return run.has_value();
  } else if (key == "content") {
    const auto content = Fingerprint::parse(value);
    if (content) record.content = *content;
    return content.has_value();
  } else if (key == "manifest") {
    record.manifest = Digest::parse_named(value);
    return record.manifest.has_value();
  } else if (key == "standing") {
    const auto standing = standing_of(value);
    if (standing) record.standing = *standing;
    return standing.has_value();
  } else {
    return may_be_unknown;
  }
  return true;
}

}  // namespace

std::string encode(const RunRecord& record) {
  std::string text = fmt::format(
      "prefix {}\nrun {}\ntask {}\npiece-bytes {}\nbegun {}\nstanding {}\nexpected {}\n",
      record.prefix, record.run.text(), record.task.text(), record.piece_bytes, record.begun_ms,
      name_of(record.standing), record.expected_count);
  if (record.manifest) text += fmt::format("manifest {}\n", record.manifest->named());
  for (const auto& host : record.expected_hosts) text += fmt::format("host {}\n", host);
  // The last line: a truncated text lacks it.
  return text + fmt::format("content {}\n", record.content.text());
}

std::optional<RunRecord> decode_run_record(Role role, std::string_view text, UnknownKeys unknown) {
  auto task = task_in(text);
  if (!task) return std::nullopt;
  RunRecord record{.role = role, .task = *std::move(task)};
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    if (!read_line(record, line, unknown)) return std::nullopt;
  }
  // encode() always writes both; without one the text is truncated.
  if (record.run.text().empty() || record.content.text().empty()) return std::nullopt;
  return record;
}

}  // namespace libsync
