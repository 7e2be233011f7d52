// The verb of Observer that is asked often: the pulse of a run.

#include "libsync/core/escaped_text.h"
#include "redis/answer.h"
#include "redis/coordinator.h"

namespace libsync {
namespace {

// A person reads these values, and other programs may have written them: nothing for a wrong one.
std::optional<std::uint64_t> read_number(AnswerReader& reader) {
  const auto& value = reader.value();
  if (const auto* const text = value.text()) return parse_number<std::uint64_t>(*text);
  const auto* const number = value.number();
  if (number == nullptr || *number < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

std::uint64_t number_or_zero(AnswerReader& reader) { return read_number(reader).value_or(0); }

std::optional<LastEnd> read_last_end(AnswerReader& reader, std::uint64_t now) {
  LastEnd last;
  last.path = reader.text();
  last.outcome = reader.text();
  last.reason = reader.text();
  last.finished = number_or_zero(reader);
  last.expected = number_or_zero(reader);
  last.ended_ms = number_or_zero(reader);
  last.ended_ago = std::chrono::milliseconds(now - std::min(now, last.ended_ms));
  return last.outcome.empty() ? std::nullopt : std::optional(std::move(last));
}

Pulse::Run read_pulse_of_run(AnswerReader& reader) {
  Pulse::Run run;
  run.id = escaped(reader.text());
  run.path = reader.text();
  run.finished = number_or_zero(reader);
  run.expected = number_or_zero(reader);
  run.bytes = number_or_zero(reader);
  run.pieces = std::max<std::uint64_t>(1, number_or_zero(reader));
  run.placed = number_or_zero(reader);
  run.placed_lately = number_or_zero(reader);
  if (const auto ago = read_number(reader)) {
    run.moved_ago = std::chrono::milliseconds(*ago);
  }
  run.of_one_source = number_or_zero(reader);
  return run;
}

}  // namespace

Pulse RedisCoordinator::pulse() {
  const auto answer = try_call("pulse", {});
  // No master has ever run here, or one of an older version. The next tick loads the functions.
  if (!answer) return {.task = task_or_nothing().value_or(""), .run = {}, .last = {}};
  AnswerReader reader(*answer);
  static_cast<void>(reader.text());
  Pulse pulse;
  pulse.task = reader.text();
  const auto now = number_or_zero(reader);
  pulse.last = read_last_end(reader, now);
  if (!reader.at_end()) pulse.run = read_pulse_of_run(reader);
  return pulse;
}

}  // namespace libsync
