#include "redis/pulse_answer.h"

#include <algorithm>
#include <utility>

#include "libsync/core/escaped_text.h"
#include "redis/answer.h"

namespace libsync {
namespace {

std::optional<std::uint64_t> next_number_if_right(AnswerReader& reader) {
  const auto& value = reader.value();
  if (const auto* const text = value.text()) return parse_number<std::uint64_t>(*text);
  const auto* const number = value.number();
  if (number == nullptr || *number < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

std::uint64_t next_number(AnswerReader& reader) { return next_number_if_right(reader).value_or(0); }

std::optional<LastEnd> read_last_end(AnswerReader& reader, std::uint64_t now) {
  LastEnd last;
  last.path = reader.text();
  last.outcome = reader.text();
  last.reason = reader.text();
  last.finished = next_number(reader);
  last.expected = next_number(reader);
  last.ended_ms = next_number(reader);
  last.ended_ago = between(last.ended_ms, now);
  last.run = escaped(reader.text());
  return last.outcome.empty() ? std::nullopt : std::optional(std::move(last));
}

Pulse::Run read_pulse_of_run(const std::string& id, AnswerReader& reader) {
  Pulse::Run run;
  run.id = escaped(id);
  run.path = reader.text();
  run.finished = next_number(reader);
  run.expected = next_number(reader);
  run.bytes = next_number(reader);
  run.pieces = std::max<std::uint64_t>(1, next_number(reader));
  run.placed = next_number(reader);
  run.moves.placed_lately = next_number(reader);
  if (const auto ago = next_number_if_right(reader)) {
    run.moves.moved_ago = between(0, *ago);
  }
  run.moves.of_one_source = next_number(reader);
  // Older functions do not answer these.
  if (!reader.at_end()) run.work = reader.text();
  if (!reader.at_end()) run.age = between(0, next_number(reader));
  return run;
}

}  // namespace

Pulse read_pulse(const RedisValue& answer) {
  AnswerReader reader(answer);
  static_cast<void>(reader.text());
  Pulse pulse;
  pulse.task = reader.text();
  const auto now = next_number(reader);
  pulse.last = read_last_end(reader, now);
  if (reader.at_end()) return pulse;
  // A single text is what the master works at: there is no run.
  const auto& text = reader.text();
  if (reader.at_end()) {
    pulse.work = text;
  } else {
    pulse.run = read_pulse_of_run(text, reader);
  }
  return pulse;
}

}  // namespace libsync
