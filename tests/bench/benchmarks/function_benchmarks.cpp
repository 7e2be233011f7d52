// ./tests/bench/micro --benchmark_filter=Call: what each function costs Redis with 10,000 hosts.
//
// The times are those of INFO commandstats. A call may do a step of mend.lua on its way.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "redis/connection.h"
#include "redis/coordinator.h"
#include "test_redis.h"

namespace libsync::test {
namespace {

constexpr unsigned kHosts = 10'000;
constexpr unsigned kOneStage = 64;  // Pieces of one call of stage.
constexpr unsigned kFewCalls = 40;  // Calls of a function that each host or piece needs.

std::string id_of(unsigned number) { return fmt::format("{:032}", number); }
std::string address_of(unsigned number) {
  return fmt::format("10.{}.{}.{}", number >> 16U, (number >> 8U) & 255U, number & 255U);
}

// The microseconds that Redis needed for each call, by the name of the function.
class FunctionCosts {
 public:
  FunctionCosts(std::string spread, unsigned pieces) : spread_(std::move(spread)), pieces_(pieces) {
    std::string source(functions_source());
    if (redis_.ask({"FUNCTION", "LOAD", "REPLACE", source}).error() != nullptr) {
      throw std::runtime_error("the functions do not load");
    }
    for (unsigned i = 1; i <= kHosts; ++i) hosts_.push_back(address_of(i));
    for (unsigned i = 0; i < kHaves; ++i) haves_.push_back(random_bitmap());
    fill();
    run_middle();
    lose_keys();
    end();
  }

  [[nodiscard]] const std::map<std::string, std::vector<double>>& all() const { return all_; }

 private:
  static constexpr unsigned kHaves = 997;

  std::string random_bitmap() {
    std::string bitmap(pieces_ / 8, '\0');
    for (auto& byte : bitmap) byte = static_cast<char>(random_() & 255U);
    return bitmap;
  }
  const std::string& have_of(unsigned host) const { return haves_[host % kHaves]; }

  // The answer, and the costs under `name`.
  RedisValue call(const std::string& verb, std::vector<std::string> arguments,
                  const std::string& name = "") {
    static_cast<void>(redis_.ask({"CONFIG", "RESETSTAT"}));
    RedisCommand command{"FCALL", "libsync1_" + verb, "0", "", ""};
    command.insert(command.end(), arguments.begin(), arguments.end());
    auto answer = redis_.ask(command);
    if (const auto* const error = answer.error()) throw std::runtime_error(error->text);
    const auto stats = redis_.ask({"INFO", "commandstats"});
    const auto& text = *stats.text();
    constexpr std::string_view kField = "cmdstat_fcall:calls=1,usec=";
    const auto at = text.find(kField);
    if (at == std::string::npos) throw std::runtime_error("Redis counts no call");
    all_[name.empty() ? verb : name].push_back(std::stod(text.substr(at + kField.size())));
    return answer;
  }
  static std::string text_at(const RedisValue& answer, std::size_t at) {
    const auto* const array = answer.array();
    if (array == nullptr || array->size() <= at) return {};
    if (const auto* const number = (*array)[at].number()) return std::to_string(*number);
    const auto* const text = (*array)[at].text();
    return text == nullptr ? std::string() : *text;
  }
  void with_hosts(std::vector<std::string>& arguments, unsigned most = kHosts) const {
    arguments.insert(arguments.end(), hosts_.begin(), hosts_.begin() + most);
  }

  void judge(const std::string& name) {
    ask({"HSET", "sync:run", "judged", "0"});
    for (std::string page;;) {
      const auto answer = call("admit", {run_, page}, name);
      page = text_at(answer, 2);
      if (text_at(answer, 1) == "0" && page.empty()) return;
    }
  }
  void ask(const RedisCommand& command) { static_cast<void>(redis_.ask(command)); }
  // Every step of mend.lua, one after the other.
  void mend(const std::string& name) {
    ask({"HSET", "sync:course", "mending", "0", "mended", "0"});
    unsigned steps = 0;
    do {
      if (++steps > kHosts) throw std::runtime_error("mending does not end");
      ask({"HSET", "sync:course", "reaped", "0"});
      call("hold", {run_, hosts_[5], have_of(5), "2", "1", "0"}, name);
    } while (*redis_.ask({"HGET", "sync:course", "mending"}).text() != "0");
  }

  void fill() {
    if (spread_ == "trees") {
      for (const auto& host : hosts_) call("join", {host, "1", "1", "600000"}, "join (waits)");
    }
    std::vector<std::string> arguments{run_,
                                       "/data/m",
                                       "m",
                                       std::string(32, 'f'),
                                       std::to_string(pieces_ * 10),
                                       "10",
                                       std::to_string(pieces_),
                                       manifest_,
                                       "100",
                                       origin_,
                                       "master",
                                       std::string(32, 'a'),
                                       "2",
                                       "0",
                                       spread_,
                                       "named"};
    with_hosts(arguments);
    call("begin", arguments);
    for (std::string page; page != "0";) page = text_at(call("wake", {page, "1"}), 1);
    for (unsigned first = 0; first < pieces_; first += kOneStage) {
      std::vector<std::string> pieces{run_, first + kOneStage >= pieces_ ? "1" : "0"};
      for (unsigned piece = first; piece < first + kOneStage; ++piece) {
        pieces.push_back(std::to_string(piece));
        pieces.push_back(id_of(piece));
        digests_ += id_of(piece);
      }
      call("stage", pieces);
    }
    for (const auto& host : hosts_) call("join", {host, "1", "1", "0"});
    for (unsigned i = 0; i < kHosts; ++i) {
      if (spread_ == "trees") {
        call("follow", {run_, hosts_[i], have_of(i), "2", "1", "0", have_of(i)});
      } else {
        call("hold", {run_, hosts_[i], have_of(i), "4", "1", "0"});
      }
    }
    const auto claims = spread_ == "trees" ? kHosts / 10 : kHosts;
    for (unsigned i = 0; i < claims; ++i) {
      const auto& have = have_of(i);
      call("claim", {run_, hosts_[i], id_of(i), "1", have, have, ""});
    }
  }

  void run_middle() {
    std::vector<std::string> repaired{run_,
                                      id_of(2),
                                      "1",
                                      "/data/m",
                                      "m",
                                      std::string(32, 'f'),
                                      std::to_string(pieces_ * 10),
                                      "10",
                                      std::to_string(pieces_),
                                      manifest_,
                                      "100",
                                      std::string(32, 'a'),
                                      "named",
                                      digests_};
    with_hosts(repaired);
    for (int i = 0; i < 5; ++i) {
      for (const auto* const verb : {"watch", "status", "pulse", "awaited"}) call(verb, {});
      for (const auto* const role : {"master", "minion"}) call("rights", {role});
      call("repair", repaired);
      judge("admit");
      mend("hold with mend");
    }
    for (const auto* const list :
         {"progress", "pulls", "uploads", "done", "errors", "waiting", "minions", "silent",
          "expected", "others", "joined", "running"}) {
      for (std::string cursor = "0";;) {
        cursor = text_at(call("hosts", {run_, list, cursor}), 1);
        if (cursor == "0") break;
      }
    }
    for (unsigned i = 0; i < kHosts; ++i) {
      ask({"HSET", "sync:blame", fmt::format("avoid {} {}", hosts_[i], hosts_[i / 2]), "1 1"});
    }
    const std::vector<std::string> outcomes{"good", "refused", "corrupt", "missing", "unreachable"};
    for (unsigned i = 0; i < kFewCalls * 5; ++i) {
      const auto& have = have_of(i);
      call("renew", {run_, hosts_[i], id_of(i)});
      call("complete", {run_, hosts_[i], id_of(i), outcomes[i % 5], "why", have, "1",
                        id_of(kHosts + i), "1", have, ""});
    }
    std::vector<std::string> some{run_};
    for (unsigned piece = 0; piece < pieces_; piece += 16) some.push_back(std::to_string(piece));
    for (unsigned i = 0; i < kFewCalls; ++i) {
      call("digests", some);
      call("doubt", {run_, origin_, "why"});
      call("fault", {run_, hosts_[i], "feed", "why"});
      call("account", {run_, hosts_[i], "9", "8", "2", "1", "40", "4", "1", "0", "7",
                       fmt::format("{}=4", hosts_[i + 1]), "why"});
      call("vouch", {run_});
      call("overtake", {run_, "/x"});
      call("overtake", {run_, ""});
      call("leave", {run_, hosts_[kFewCalls * 6 + i], "all", "why"});
      call("join", {hosts_[kFewCalls * 8 + i], "1", "1", "0"}, "join (again)");
    }
    std::vector<std::string> change{run_, "named", "drop"};
    with_hosts(change, 2000);
    call("expect", change);
    change[2] = "add";
    call("expect", change);
  }

  void lose_keys() {
    for (const auto* const key :
         {"sync:pulls", "sync:uploads", "sync:leases", "sync:claims", "sync:coming", "sync:copies",
          "sync:seats", "sync:seat_of", "sync:have", "finished_queue", "running_queue",
          "synchronize_queue", "sync:slots", "sync:waiting"}) {
      ask({"DEL", key});
      mend(fmt::format("mend after a loss of {}", key));
    }
    for (const auto* const key : {"sync:expected", "sync:others", "sync:joined"}) {
      ask({"DEL", key});
      judge("admit after a loss");
    }
  }

  void end() {
    for (unsigned i = kHosts / 2; i < kHosts; ++i) {
      call("finish", {run_, hosts_[i], manifest_, std::string(pieces_ / 8, '\xff'), "2"});
    }
    mend("hold with mend");
    call("watch", {}, "watch (half done)");
    call("end", {run_, "complete", "", "1", ""});
    for (std::string page; page != "0";) page = text_at(call("wake", {page, "0"}), 1);
    ask({"SET", "task", "/y"});
    call("refuse", {"/y", "why"});
  }

  TestRedis redis_;
  std::mt19937 random_{1};
  std::string spread_;
  unsigned pieces_;
  const std::string run_ = id_of(1);
  const std::string origin_ = "10.200.0.1";
  const std::string manifest_ = id_of(0);
  std::string digests_;
  std::vector<std::string> hosts_;
  std::vector<std::string> haves_;
  std::map<std::string, std::vector<double>> all_;
};

void print(benchmark::State& state, const char* spread, unsigned pieces) {
  for ([[maybe_unused]] auto _ : state) {
    const FunctionCosts costs(spread, pieces);
    fmt::print("\n{} hosts, {} pieces, by {}: ms of Redis\n{:46}{:>8}{:>10}{:>10}{:>10}\n", kHosts,
               pieces, spread, "function", "calls", "least", "median", "worst");
    for (auto [name, all] : costs.all()) {
      std::sort(all.begin(), all.end());
      fmt::print("{:46}{:8}{:10.2f}{:10.2f}{:10.2f}\n", name, all.size(), all.front() / 1000,
                 all[all.size() / 2] / 1000, all.back() / 1000);
    }
  }
}
void CallByTrees(benchmark::State& state) { print(state, "trees", 4096); }
void CallByClaims(benchmark::State& state) { print(state, "claims", 512); }
BENCHMARK(CallByTrees)->Iterations(1)->Unit(benchmark::kSecond);
BENCHMARK(CallByClaims)->Iterations(1)->Unit(benchmark::kSecond);

}  // namespace
}  // namespace libsync::test
