#pragma once

// A redis-server for one test, on an address of its own.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "redis/connection.h"
#include "temporary_folder.h"
#include "test_process.h"

namespace libsync::test {

/// 127.A.B.`host`. A and B are random, the same in one process and different in all others. So
/// tests can run side by side, each with its own redis-server.
[[nodiscard]] std::string test_address(unsigned host);

class TestRedis {
 public:
  /// Starts an empty server. `options` go to the end of its command line.
  explicit TestRedis(std::vector<std::string> options = {});
  ~TestRedis();

  [[nodiscard]] std::string url(const std::string& user = "") const;
  [[nodiscard]] RedisServer server() const;

  /// Sends a plain command on a connection of the test.
  RedisValue ask(const RedisCommand& command);

  /// The same through redis-cli, as an operator does it. Returns its output without the last
  /// newline.
  std::string cli(const std::vector<std::string>& words, const std::string& input = "") const;

  /// Number of commands so far, as INFO commandstats counts them, blocking ones included.
  [[nodiscard]] long calls();

  void stop();   ///< Kills the server with KILL.
  void start();  ///< Starts it again on the same port, empty.

  [[nodiscard]] int pid() const { return process_->pid(); }

 private:
  TemporaryFolder folder_;
  std::vector<std::string> options_;
  std::optional<Background> process_;
  std::optional<RedisConnection> connection_;
};

}  // namespace libsync::test
