#pragma once

// A fleet on this machine: a Redis, and hosts with their own addresses. Each host has its own rsync
// daemon, repo folder and configuration, made from the files in cron/ and rsyncd/.

#include <gtest/gtest.h>

#include <filesystem>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "temporary_folder.h"
#include "test_process.h"
#include "test_redis.h"

namespace libsync::test {

using Words = std::vector<std::string>;

/// The path of sync-master or sync-minion in the build folder.
std::string program_path(const std::string& program);

class Host {
 public:
  Host(std::filesystem::path folder, std::string address, const std::string& redis_url,
       const std::filesystem::path& source_root);

  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] std::filesystem::path repo() const { return folder_ / "repo"; }
  [[nodiscard]] std::filesystem::path state() const { return repo() / ".libsync"; }

  /// The folders of the spools that the host keeps.
  [[nodiscard]] std::vector<std::filesystem::path> spools() const;

  void start_daemon();
  void stop_daemon();
  /// A frozen daemon accepts connections and sends nothing, like one on a host that hangs.
  void freeze_daemon();
  void thaw_daemon();

  /// Gives the daemon the module for pushes, too. The shipped configuration holds it as a comment.
  void open_for_pushes();

  /// Starts sync-master or sync-minion in the background with this host's configuration. log()
  /// returns its log.
  Background& start(const std::string& program, const Words& options);

  /// Runs such a program to its end. Its output holds its log.
  [[nodiscard]] Ran run(const std::string& program, const Words& options = {}) const;

  /// The program that start() started most recently.
  [[nodiscard]] Background& program() { return *program_; }
  [[nodiscard]] std::string log() const;

 private:
  std::filesystem::path folder_;
  std::string address_;
  std::optional<Background> daemon_;
  std::optional<Background> program_;
};

class Fleet : public testing::Test {
 protected:
  /// The master's host is 127.A.B.2; payloads lie in source_root().
  Fleet();

  /// Adds a minion's host, and starts its daemon.
  Host& add_host();
  std::vector<Host*> add_hosts(int count);

  [[nodiscard]] std::filesystem::path source_root() const { return folder_.path() / "sources"; }

  /// Starts a lingering tick of the master.
  void start_master(const Words& options = {});
  /// Starts a lingering tick of every minion.
  void start_minions(const Words& options = {});

  /// Sets the task, as an operator does it.
  void set_task(const std::filesystem::path& path);

  /// Waits until none of the five keys of the Python pair exists.
  void wait_for_end(std::chrono::seconds limit = std::chrono::seconds(60));

  /// Fails unless the host has published exactly the payload. diff compares the contents, and find
  /// the names, modes, times, sizes and targets; neither shares code with ours.
  void expect_published(const Host& host, const std::filesystem::path& payload);

  TestRedis redis;
  Host& master() { return *hosts_.front(); }
  std::vector<Host*> minions();

 private:
  TemporaryFolder folder_;
  std::list<std::unique_ptr<Host>> owned_;
  std::vector<Host*> hosts_;
};

/// The output of `find -printf` for a tree, sorted: one line for each entry.
[[nodiscard]] std::string listing_of(const std::filesystem::path& path);

}  // namespace libsync::test
