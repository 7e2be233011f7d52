#pragma once

// Calls the functions as a program does, at times that the test chooses.

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "redis/connection.h"
#include "test_redis.h"
#include "timed_functions.h"

namespace libsync::test {

/// An answer as texts. Numbers are digits, nil is `(nil)`, an error `(error) …`. An array within
/// the array is one text, with commas between its elements.
using Texts = std::vector<std::string>;
[[nodiscard]] Texts texts_of(const RedisValue& value);

/// A bitmap of `pieces` pieces with these set.
[[nodiscard]] std::string bits(unsigned pieces, std::initializer_list<unsigned> set);
[[nodiscard]] std::string all_bits(unsigned pieces);

class FunctionCaller {
 public:
  explicit FunctionCaller(TestRedis& redis, std::string prefix = "");

  /// Loads the functions that are built into the programs, with one line replaced.
  void load(CallersTime what = CallersTime::time);

  /// FCALL libsync1_VERB 0 PREFIX NOW ARGUMENTS.
  Texts operator()(const std::string& verb, const std::vector<std::string>& arguments = {});

  /// A plain command.
  Texts ask(const RedisCommand& command) { return texts_of(redis_.ask(command)); }
  /// The first text of its answer.
  std::string one(const RedisCommand& command) { return ask(command).at(0); }
  /// The members of a set, sorted.
  Texts members(const std::string& key);

  /// Begins a run of `pieces` pieces from `origin` with `slots` upload slots.
  Texts begin(const std::string& run, unsigned pieces, const std::string& origin = "10.0.0.1",
              unsigned slots = 2, const std::vector<std::string>& expected = {},
              const std::string& spread = "auto");

  /// Announces pieces. `last` makes the run staged.
  enum class Last { no, yes };
  Texts stage(const std::string& run, const std::vector<unsigned>& pieces, Last last = Last::no);

  Texts hold(const std::string& run, const std::string& host, const std::string& have,
             unsigned slots = 2);
  // Calls of a host, 10 s later, until they have done every step of mend.lua.
  void mend(const std::string& run, const std::string& host, const std::string& have);
  Texts claim(const std::string& run, const std::string& host, const std::string& token,
              const std::string& have, const std::string& unwanted, unsigned most = 1,
              const std::string& beside = "");
  Texts complete(const std::string& run, const std::string& host, const std::string& token,
                 const std::string& outcome, const std::string& have,
                 const std::string& next_token = "", const std::string& unwanted = "",
                 const std::string& beside = "");
  /// An empty `have` leaves the reported bitmap alone.
  Texts finish(const std::string& run, const std::string& host, const std::string& manifest,
               const std::string& have = "", unsigned slots = 2);
  /// A host waits for a run, for this many ms.
  Texts linger(const std::string& host, unsigned stays_ms);

  std::int64_t now = 1'000'000'000'000;

 private:
  TestRedis& redis_;
  std::string prefix_;
};

/// Ids that are readable in a failed expectation.
[[nodiscard]] std::string run_id(unsigned number);
[[nodiscard]] std::string token(unsigned number);
[[nodiscard]] std::string digest(unsigned number);

}  // namespace libsync::test
