#pragma once

// A redis-server of a test's own, on an address of its own.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "redis/connection.h"
#include "temporary_folder.h"
#include "test_process.h"

namespace libsync::test {

/// 127.A.B.`host`, with A and B at random and of no other process that asks, so that tests can run
/// side by side: two at one address would talk to one redis-server.
[[nodiscard]] std::string test_address(unsigned host);

class TestRedis {
 public:
  /// Starts it, empty, with more lines for its command line if given.
  explicit TestRedis(std::vector<std::string> options = {});
  ~TestRedis();

  [[nodiscard]] std::string url(const std::string& user = "") const;
  [[nodiscard]] RedisServer server() const;

  /// A plain command on a connection of the test's own.
  RedisValue ask(const RedisCommand& command);

  /// The same through redis-cli, as an operator would; its output without the last newline.
  std::string cli(const std::vector<std::string>& words, const std::string& input = "") const;

  /// Calls of commands so far, as INFO commandstats counts them, blocking ones included.
  [[nodiscard]] long calls();

  void stop();   ///< As by a kill -9.
  void start();  ///< Again, on the same port, with nothing in it.

  [[nodiscard]] int pid() const { return process_->pid(); }

 private:
  TemporaryFolder folder_;
  std::vector<std::string> options_;
  std::optional<Background> process_;
  std::optional<RedisConnection> connection_;
};

}  // namespace libsync::test
