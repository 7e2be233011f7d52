// The verb of Observer that is asked often: the pulse of a run.

#include "libsync/core/escaped_text.h"
#include "redis/answer.h"
#include "redis/coordinator.h"

namespace libsync {
namespace {

// A person reads these values, and other programs may have written them: a wrong one counts as 0.
std::uint64_t number_or_zero(const std::string& text) {
  return parse_number<std::uint64_t>(text).value_or(0);
}

std::optional<LastEnd> read_last_end(AnswerReader& reader, std::uint64_t now) {
  LastEnd last;
  last.path = reader.text();
  last.outcome = reader.text();
  last.reason = reader.text();
  last.finished = number_or_zero(reader.text());
  last.expected = number_or_zero(reader.text());
  last.ended_ms = number_or_zero(reader.text());
  last.ended_ago = std::chrono::milliseconds(now - std::min(now, last.ended_ms));
  return last.outcome.empty() ? std::nullopt : std::optional(std::move(last));
}

Pulse::Run read_pulse_of_run(AnswerReader& reader) {
  Pulse::Run run;
  run.id = escaped(reader.text());
  run.path = reader.text();
  run.finished = number_or_zero(reader.text());
  run.expected = number_or_zero(reader.text());
  run.bytes = number_or_zero(reader.text());
  run.pieces = std::max<std::uint64_t>(1, number_or_zero(reader.text()));
  run.placed = number_or_zero(reader.text());
  run.placed_lately = number_or_zero(reader.text());
  if (const auto ago = parse_number<std::uint64_t>(reader.text())) {
    run.moved_ago = std::chrono::milliseconds(*ago);
  }
  run.of_one_source = number_or_zero(reader.text());
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
  const auto now = number_or_zero(reader.text());
  pulse.last = read_last_end(reader, now);
  if (!reader.at_end()) pulse.run = read_pulse_of_run(reader);
  return pulse;
}

}  // namespace libsync
