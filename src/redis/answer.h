#pragma once

// Reads the answers of the Redis functions into checked values.
//
// Every value from Redis is hostile until it is checked. Each element must have one type and lie in
// one range. Anything else is a Failure (redis), thrown before the value can act as a size, an
// index, a path or an address.
//
// The functions here have no state and no I/O, so any thread may call them.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libsync/core/number.h"
#include "libsync/master_coordinator.h"
#include "libsync/minion_coordinator.h"
#include "libsync/observer.h"
#include "redis/connection.h"

namespace libsync {

/// Throws the Failure for an answer that this version does not understand. `what` names the part,
/// escaped.
[[noreturn]] void throw_not_understood(std::string_view what);

/// Throws the Failure for a field of sync:run whose value breaks its rules. A master that runs
/// corrects the key from its spool, so a later call may succeed.
[[noreturn]] void throw_unreadable(std::string_view field, std::string_view value);

/// Whether the command met a key that holds a value of another type.
[[nodiscard]] bool is_wrong_type(const RedisValue& answer);

/// Time between two moments in ms since 1970; zero if the second one is earlier.
[[nodiscard]] std::chrono::milliseconds between(std::uint64_t from_ms, std::uint64_t to_ms);

/// Reads the elements of an array one after the other.
///
/// Each call consumes the elements that it returns. It throws if they are missing, or have another
/// type or range. The reader keeps a pointer to the value, which must outlive it.
class AnswerReader {
 public:
  /// Throws if the value is no array.
  explicit AnswerReader(const RedisValue& value);

  [[nodiscard]] bool at_end() const { return next_ == array_->size(); }

  const RedisValue& value();
  const std::string& text();
  /// A number: 0 is false.
  bool flag() { return number<unsigned>() != 0; }
  Suspicion suspicion() { return flag() ? Suspicion::verify : Suspicion::none; }
  RunState state();
  TaskPath task();
  /// State, free sources, finished hosts, suspicion.
  View view();

  /// Consumes all remaining elements: piece, digest, piece, digest …
  std::vector<StagedPiece> staged_pieces();
  /// Consumes two elements: the first piece, and the digests from there on in one text. A digest of
  /// zeros means that its piece is not announced.
  std::vector<StagedPiece> staged_range();
  /// Leaves out a parent outside `peers`, as if Redis had not assigned one yet.
  Seat seat(const std::vector<Network>& peers);

  /// A number that came as an integer or as digits.
  template <typename Number = std::uint64_t>
  Number number() {
    const RedisValue& element = value();
    std::optional<Number> read;
    if (const auto* const integer = element.number()) {
      if (std::in_range<Number>(*integer)) read = static_cast<Number>(*integer);
    } else if (const auto* const digits = element.text()) {
      read = parse_number<Number>(*digits);
    }
    if (!read) throw_not_understood("an invalid number");
    return *read;
  }

 private:
  const RedisValue::Array* array_;
  std::size_t next_ = 0;
};

/// The fields of a hash that came as field, value, field, value …
class AnswerFields {
 public:
  /// Consumes all remaining elements of `reader`.
  explicit AnswerFields(AnswerReader& reader);

  [[nodiscard]] bool empty() const { return all_.empty(); }

  /// Throws if the field is missing.
  [[nodiscard]] const std::string& text(std::string_view name) const;
  [[nodiscard]] std::string text_or_empty(std::string_view name) const;

  /// Throws if the field is missing or no number.
  [[nodiscard]] std::uint64_t number(std::string_view name) const;
  /// Zero if the field is missing or no number.
  [[nodiscard]] std::uint64_t number_or_zero(std::string_view name) const;

  /// A field as an id, a fingerprint or an address. Throws if its parse() refuses the text.
  template <typename Name>
  [[nodiscard]] Name parsed(std::string_view name) const {
    auto value = Name::parse(text(name));
    if (!value) throw_unreadable(name, text(name));
    return *std::move(value);
  }

 private:
  [[nodiscard]] const std::string* find(std::string_view name) const;

  std::vector<std::pair<std::string, std::string>> all_;
};

/// False if the answer says STALE. Throws if its first word is another one than `word`.
[[nodiscard]] bool is_for_us(const RedisValue& answer, std::string_view word);

/// The state of `run`, from an array of id and state; nothing if the id is another one.
[[nodiscard]] std::optional<RunState> read_state(const RedisValue& answer, const RunId& run);

[[nodiscard]] BeginOutcome read_begin(const RedisValue& answer);
[[nodiscard]] RepairOutcome read_repair(const RedisValue& answer);
/// A parent outside `peers` counts as not assigned yet.
[[nodiscard]] JoinOutcome read_join(const RedisValue& answer, const std::vector<Network>& peers);
[[nodiscard]] Watch read_watch(const RedisValue& answer);

/// A source outside `peers` is unusable.
[[nodiscard]] ClaimOutcome read_claim(const RedisValue& answer, const std::vector<Network>& peers);

/// The field `manifest` of sync:run: the format of the run, and the digest of its manifest. A
/// version that knows another format cannot read the field, and refuses the run.
[[nodiscard]] std::string manifest_field(const Digest& manifest);
/// Nothing, unless manifest_field() of this version could have written the text.
[[nodiscard]] std::optional<Digest> read_manifest_field(std::string_view text);

/// The path of the run, from sync:run. Throws if it breaks its rules.
[[nodiscard]] TaskPath read_task(const AnswerFields& fields);

/// The run as sync:run holds it. `manifest` is the result of read_manifest_field(). Throws if a
/// field breaks its rules.
[[nodiscard]] RunInfo read_run(const AnswerFields& fields, const Digest& manifest);

/// The end of the last run. Missing and bad numbers count as zero, because status only shows them.
/// `now` is the time of Redis in ms since 1970.
[[nodiscard]] LastStatus read_last(const AnswerFields& fields, std::uint64_t now);

/// The answer ENDED. It names no hosts.
[[nodiscard]] Ended read_ended(const RedisValue& answer);

/// The answer to the function status, which has no hosts.
struct StatusAnswer {
  Status status;
  std::string run;  ///< The id of the run in progress, unchecked; empty if there is none.
  std::uint64_t now_ms = 0;
  std::uint64_t begun_ms = 0;

  [[nodiscard]] std::chrono::milliseconds since_the_begin(std::uint64_t time_ms) const;
  [[nodiscard]] std::chrono::milliseconds until_now(std::uint64_t time_ms) const;
};

[[nodiscard]] StatusAnswer read_status(const RedisValue& answer);

}  // namespace libsync
