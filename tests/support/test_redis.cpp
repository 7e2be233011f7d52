#include "test_redis.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <random>
#include <sstream>

#include "libsync/failure.h"

namespace libsync::test {
namespace {

constexpr std::uint16_t kPort = 6390;

std::string address_of_server() { return test_address(1); }

}  // namespace

std::string test_address(unsigned host) {
  static const auto network = [] {
    std::random_device random;
    std::uniform_int_distribution<int> byte(16, 250);
    return "127." + std::to_string(byte(random)) + "." + std::to_string(byte(random)) + ".";
  }();
  return network + std::to_string(host);
}

TestRedis::TestRedis(std::vector<std::string> options) : options_(std::move(options)) { start(); }

TestRedis::~TestRedis() = default;

void TestRedis::start() {
  std::vector<std::string> words{"redis-server",
                                 "--bind",
                                 address_of_server(),
                                 "--port",
                                 std::to_string(kPort),
                                 "--dir",
                                 folder_.path().string(),
                                 "--save",
                                 "",
                                 "--protected-mode",
                                 "no"};
  words.insert(words.end(), options_.begin(), options_.end());
  process_.emplace(words, folder_.path() / "redis.log");
  connection_.emplace(server());
  const bool is_up = eventually([this] {
    try {
      static_cast<void>(connection_->ask({"PING"}));
      return true;
    } catch (const Failure& failure) {
      // It is up, and has a password.
      return failure.remedy() == Remedy::operator_acts;
    }
  });
  EXPECT_TRUE(is_up) << content_of(folder_.path() / "redis.log");
}

void TestRedis::stop() {
  process_->signal(SIGKILL);
  static_cast<void>(process_->wait());
}

std::string TestRedis::url(const std::string& user) const {
  return "redis://" + (user.empty() ? user : user + "@") + address_of_server() + ":" +
         std::to_string(kPort) + "/0";
}

RedisServer TestRedis::server() const { return std::get<RedisServer>(RedisServer::parse(url())); }

RedisValue TestRedis::ask(const RedisCommand& command) { return connection_->ask(command); }

std::string TestRedis::cli(const std::vector<std::string>& words, const std::string& input) const {
  std::vector<std::string> all{"redis-cli", "-h", address_of_server(), "-p", std::to_string(kPort)};
  all.insert(all.end(), words.begin(), words.end());
  auto output = run(all, input).output;
  while (output.ends_with('\n')) output.pop_back();
  return output;
}

long TestRedis::calls() {
  const auto info = ask({"INFO", "commandstats"});
  std::istringstream lines(info.text() == nullptr ? "" : *info.text());
  long total = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto at = line.find("calls=");
    if (at != std::string::npos) total += std::stol(line.substr(at + 6));
  }
  return total;
}

}  // namespace libsync::test
