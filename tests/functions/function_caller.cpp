#include "function_caller.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "libsync/core/pieces.h"
#include "timed_functions.h"

namespace libsync::test {
namespace {

const std::string kMaster(32, 'a');

std::string text_of(const RedisValue& value) {
  if (const auto* const text = value.text()) return *text;
  if (const auto* const number = value.number()) return std::to_string(*number);
  if (const auto* const error = value.error()) return "(error) " + error->text;
  if (const auto* const array = value.array()) {
    std::string all;
    for (const auto& element : *array) all += (all.empty() ? "" : ",") + text_of(element);
    return all;
  }
  return "(nil)";
}

std::string padded(unsigned number, int width) {
  std::string digits = std::to_string(number);
  return std::string(static_cast<std::size_t>(width) - digits.size(), '0') + digits;
}

}  // namespace

Texts texts_of(const RedisValue& value) {
  const auto* const array = value.array();
  if (array == nullptr) return {text_of(value)};
  Texts all;
  for (const auto& element : *array) all.push_back(text_of(element));
  return all;
}

std::string bits(unsigned pieces, std::initializer_list<unsigned> set) {
  PieceSet all(pieces);
  for (const auto piece : set) all.insert(piece);
  return all.bitmap();
}

std::string all_bits(unsigned pieces) {
  PieceSet all(pieces);
  for (unsigned piece = 0; piece < pieces; ++piece) all.insert(piece);
  return all.bitmap();
}

std::string run_id(unsigned number) { return padded(number, 32); }
std::string token(unsigned number) { return padded(number, 32); }
std::string digest(unsigned number) { return padded(number, kStagedBytes); }

FunctionCaller::FunctionCaller(TestRedis& redis, std::string prefix)
    : redis_(redis), prefix_(std::move(prefix)) {
  load();
}

void FunctionCaller::load(CallersTime what) {
  ASSERT_EQ(one({"FUNCTION", "LOAD", "REPLACE", timed_functions(what)}), "libsync1");
}

Texts FunctionCaller::operator()(const std::string& verb,
                                 const std::vector<std::string>& arguments) {
  RedisCommand command{"FCALL", "libsync1_" + verb, "0", prefix_, std::to_string(now)};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return ask(command);
}

Texts FunctionCaller::members(const std::string& key) {
  auto all = ask({"SMEMBERS", prefix_ + key});
  std::sort(all.begin(), all.end());
  return all;
}

Texts FunctionCaller::begin(const std::string& run, unsigned pieces, const std::string& origin,
                            unsigned slots, const std::vector<std::string>& expected,
                            const std::string& spread) {
  std::vector<std::string> arguments{run,
                                     "/data/model.1",
                                     "model.1",
                                     std::string(32, 'f'),
                                     std::to_string(pieces * 10),
                                     "10",
                                     std::to_string(pieces),
                                     digest(0),
                                     "100",
                                     origin,
                                     "master",
                                     kMaster,
                                     std::to_string(slots),
                                     "0",
                                     spread,
                                     "0"};
  arguments.insert(arguments.end(), expected.begin(), expected.end());
  return (*this)("begin", arguments);
}

Texts FunctionCaller::stage(const std::string& run, const std::vector<unsigned>& pieces,
                            Last last) {
  std::vector<std::string> arguments{run, last == Last::yes ? "1" : "0"};
  for (const auto piece : pieces) {
    arguments.push_back(std::to_string(piece));
    arguments.push_back(digest(piece));
  }
  return (*this)("stage", arguments);
}

Texts FunctionCaller::hold(const std::string& run, const std::string& host, const std::string& have,
                           unsigned slots) {
  return (*this)("hold", {run, host, have, std::to_string(slots), "0", "0"});
}

void FunctionCaller::mend(const std::string& run, const std::string& host,
                          const std::string& have) {
  constexpr auto kMendMs = 10'000;
  constexpr auto kReapMs = 100;
  constexpr auto kMostSteps = 1000;
  now += kMendMs;
  for (int step = 0; step < kMostSteps; ++step) {
    now += kReapMs + 1;
    hold(run, host, have);
    if (one({"HGET", "sync:course", "mending"}) == "0") return;
  }
  ADD_FAILURE() << "mending does not end";
}

Texts FunctionCaller::claim(const std::string& run, const std::string& host,
                            const std::string& claim_token, const std::string& have,
                            const std::string& unwanted, unsigned most, const std::string& beside) {
  return (*this)("claim", {run, host, claim_token, std::to_string(most), have, unwanted, beside});
}

Texts FunctionCaller::complete(const std::string& run, const std::string& host,
                               const std::string& claim_token, const std::string& outcome,
                               const std::string& have, const std::string& next_token,
                               const std::string& unwanted, const std::string& beside) {
  return (*this)("complete", {run, host, claim_token, outcome, "detail of " + outcome, have, "0",
                              next_token, "1", unwanted, beside});
}

Texts FunctionCaller::finish(const std::string& run, const std::string& host,
                             const std::string& manifest, const std::string& have, unsigned slots) {
  return (*this)("finish", {run, host, manifest, have, std::to_string(slots)});
}

Texts FunctionCaller::linger(const std::string& host, unsigned stays_ms) {
  return (*this)("join", {host, "0", "1", std::to_string(stays_ms)});
}

}  // namespace libsync::test
