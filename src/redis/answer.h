#pragma once

// What the functions answer, read as what it has to be.
//
// Whatever comes from Redis is hostile until checked: each element is taken for exactly one type
// and range, and anything else is a Failure (redis) that says so, before it can act as a size, an
// index, a path or an address.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libsync/core/number.h"
#include "libsync/minion_coordinator.h"
#include "libsync/observer.h"
#include "redis/connection.h"

namespace libsync {

/// Throws the Failure for an answer that cannot be understood. `what` is escaped already.
[[noreturn]] void throw_not_understood(std::string_view what);

/// Time between two moments in ms since 1970; zero if they are the other way round.
[[nodiscard]] std::chrono::milliseconds between(std::uint64_t from_ms, std::uint64_t to_ms);

/// Reads the elements of an array one after the other. Keeps a pointer to the value.
class AnswerReader {
 public:
  explicit AnswerReader(const RedisValue& value);

  [[nodiscard]] bool at_end() const { return next_ == array_->size(); }

  const RedisValue& value();
  const std::string& text();
  bool flag() { return number<unsigned>() != 0; }
  Suspicion suspicion() { return flag() ? Suspicion::verify : Suspicion::none; }
  RunState state();
  View view();

  /// All that is left: piece, digest, piece, digest …
  std::vector<StagedPiece> staged_pieces();
  /// The first piece, and digests from there on; zeros where a piece has not been announced.
  std::vector<StagedPiece> staged_range();

  /// As an integer or as its digits.
  template <typename Number = std::uint64_t>
  Number number() {
    const RedisValue& element = value();
    std::optional<Number> read;
    if (const auto* const integer = element.number()) {
      if (std::in_range<Number>(*integer)) read = static_cast<Number>(*integer);
    } else if (const auto* const digits = element.text()) {
      read = parse_number<Number>(*digits);
    }
    if (!read) throw_not_understood("a number that is none, or out of range");
    return *read;
  }

 private:
  const RedisValue::Array* array_;
  std::size_t next_ = 0;
};

/// The fields of a hash that came as field, value, field, value …
class AnswerFields {
 public:
  /// Takes all that is left in `reader`.
  explicit AnswerFields(AnswerReader& reader);

  [[nodiscard]] bool empty() const { return all_.empty(); }
  [[nodiscard]] const std::string& text(std::string_view name) const;
  [[nodiscard]] std::string text_or_empty(std::string_view name) const;
  [[nodiscard]] std::uint64_t number(std::string_view name) const;
  [[nodiscard]] std::uint64_t number_or_zero(std::string_view name) const;

  /// Through the parse() of an id, a fingerprint or an address.
  template <typename Name>
  [[nodiscard]] Name parsed(std::string_view name) const {
    auto value = Name::parse(text(name));
    if (!value) throw_not_understood(name);
    return *std::move(value);
  }

 private:
  [[nodiscard]] const std::string* find(std::string_view name) const;

  std::vector<std::pair<std::string, std::string>> all_;
};

/// False if the answer says STALE; throws unless its first word is `word`.
[[nodiscard]] bool is_for_us(const RedisValue& answer, std::string_view word);

/// Of an id and a state; nothing if that is not this run's.
[[nodiscard]] std::optional<RunState> read_state(const RedisValue& answer, const RunId& run);
/// Of a run that another version may have begun: nothing if its manifest has a digest of a hash
/// that this one does not know.
[[nodiscard]] std::optional<Digest> read_manifest_digest(const AnswerFields& fields);
/// `manifest`: what read_manifest_digest said, or throws if that is nothing.
[[nodiscard]] RunInfo read_run(const AnswerFields& fields, const std::optional<Digest>& manifest);
[[nodiscard]] LastStatus read_last(const AnswerFields& fields, std::uint64_t now);
[[nodiscard]] HostStatus read_host(const RedisValue& value, std::uint64_t now,
                                   std::uint64_t run_started);

}  // namespace libsync
