#include "test_redis.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <sstream>
#include <system_error>

#include "libsync/core/failure.h"

namespace libsync::test {
namespace {

constexpr std::uint16_t kPort = 6390;
// The kernel gives no port as low as this to outgoing connections.
constexpr std::uint16_t kClaimPort = kPort - 1;

std::string address_of_server() { return test_address(1); }

// "127.A.B." for this process alone. The socket that it binds there keeps other processes away.
std::string claim_network() {
  std::random_device random;
  std::uniform_int_distribution<int> byte(16, 250);
  while (true) {
    auto network = "127." + std::to_string(byte(random)) + "." + std::to_string(byte(random)) + ".";
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(kClaimPort);
    inet_pton(AF_INET, (network + "1").c_str(), &name.sin_addr);
    const int claim = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(claim, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0) return network;
    if (errno != EADDRINUSE) {
      throw std::system_error(errno, std::generic_category(), "cannot bind to " + network + "1");
    }
    close(claim);
  }
}

}  // namespace

std::string test_address(unsigned host) {
  static const auto network = claim_network();
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
      // The server is up and demands a password.
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
