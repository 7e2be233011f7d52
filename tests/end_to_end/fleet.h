#pragma once

// A fleet on this machine: a Redis, and hosts of addresses of their own, each with its own rsync
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

/// Of sync-master or sync-minion, as built.
std::string program_path(const std::string& program);

class Host {
 public:
  Host(std::filesystem::path folder, std::string address, const std::string& redis_url,
       const std::filesystem::path& source_root);

  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] std::filesystem::path repo() const { return folder_ / "repo"; }
  [[nodiscard]] std::filesystem::path state() const { return repo() / ".libsync"; }

  /// The folder names of the spools that are there.
  [[nodiscard]] std::vector<std::filesystem::path> spools() const;

  void start_daemon();
  void stop_daemon();
  /// It takes connections and answers nothing, as on a host that hangs.
  void freeze_daemon();
  void thaw_daemon();

  /// Its daemon has the module for pushes, too, which the shipped configuration holds as a comment.
  void open_for_pushes();

  /// One program of ours with this host's configuration, in the background, its log in log().
  Background& start(const std::string& program, const Words& options);

  /// The same to its end; what it logged is in the output.
  [[nodiscard]] Ran run(const std::string& program, const Words& options = {}) const;

  /// The program that start() started last.
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
  /// The master's host is 127.A.B.2; payloads lie in sources().
  Fleet();

  /// A host that receives, its daemon running.
  Host& add_host();
  std::vector<Host*> add_hosts(int count);

  [[nodiscard]] std::filesystem::path sources() const { return folder_.path() / "sources"; }

  /// Starts a tick of the master that stays, and of all hosts.
  void start_master(const Words& options = {});
  void start_minions(const Words& options = {});

  /// What an operator types.
  void set_task(const std::filesystem::path& path);

  /// Waits until all five keys of the old pair are gone.
  void wait_for_end(std::chrono::seconds limit = std::chrono::seconds(60));

  /// Fails unless the host has published exactly the payload, by cmp and by a listing of names,
  /// modes, times, sizes and targets that our code has no part in.
  void expect_published(const Host& host, const std::filesystem::path& payload);

  TestRedis redis;
  Host& master() { return *hosts_.front(); }
  std::vector<Host*> minions();

 private:
  TemporaryFolder folder_;
  std::list<std::unique_ptr<Host>> owned_;
  std::vector<Host*> hosts_;
};

/// `find -printf` over a tree: one line an entry, sorted.
[[nodiscard]] std::string listing_of(const std::filesystem::path& path);

}  // namespace libsync::test
