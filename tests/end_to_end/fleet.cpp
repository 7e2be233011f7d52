#include "fleet.h"

#include <algorithm>
#include <csignal>
#include <sstream>

#include "libsync/core/address.h"
#include "libsync/core/run_ids.h"

namespace libsync::test {
namespace {

constexpr auto kMakeHost = SOURCE_FOLDER "/tests/support/make_host";

Words command_line(const std::filesystem::path& folder, const std::string& program,
                   const Words& options) {
  Words words{program_path(program), "--config", (folder / "sync.toml").string()};
  words.insert(words.end(), options.begin(), options.end());
  return words;
}

}  // namespace

std::string program_path(const std::string& program) {
  return std::string(PROGRAM_FOLDER "/") + program;
}

Host::Host(std::filesystem::path folder, std::string address, const std::string& redis_url,
           const std::filesystem::path& source_root)
    : folder_(std::move(folder)), address_(std::move(address)) {
  const auto made =
      test::run({kMakeHost, folder_.string(), address_, redis_url, source_root.string()});
  EXPECT_EQ(made.status, 0) << made.errors;
}

std::vector<std::filesystem::path> Host::spools() const {
  std::vector<std::filesystem::path> all;
  if (!std::filesystem::exists(state())) return all;
  for (const auto& entry : std::filesystem::directory_iterator(state())) {
    if (Fingerprint::parse(entry.path().filename().string())) all.push_back(entry.path());
  }
  return all;
}

void Host::start_daemon() {
  daemon_.emplace(
      Words{"rsync", "--daemon", "--no-detach", "--config=" + (folder_ / "rsyncd.conf").string()},
      folder_ / "daemon.out");
  const Words ask{"rsync", "--contimeout=1",
                  "rsync://" + Address::parse(address_).value().in_url() + ":8730/"};
  EXPECT_TRUE(eventually([&] { return test::run(ask).status == 0; }))
      << content_of(folder_ / "daemon.out");
}

void Host::stop_daemon() { daemon_.reset(); }

void Host::freeze_daemon() { daemon_->signal(SIGSTOP); }

void Host::thaw_daemon() { daemon_->signal(SIGCONT); }

void Host::open_for_pushes() {
  ASSERT_EQ(test::run({"sed", "-i", "/^# \\[libsync-push\\]/,$s/^# //",
                       (folder_ / "rsyncd.conf").string()})
                .status,
            0);
  stop_daemon();
  start_daemon();
}

Background& Host::start(const std::string& program, const Words& options) {
  return program_.emplace(command_line(folder_, program, options), folder_ / "program.log");
}

Ran Host::run(const std::string& program, const Words& options) const {
  return test::run(command_line(folder_, program, options));
}

std::string Host::log() const {
  const auto path = folder_ / "program.log";
  return std::filesystem::exists(path) ? content_of(path) : std::string();
}

Fleet::Fleet() {
  std::filesystem::create_directory(source_root());
  add_host();
}

Host& Fleet::add_host() {
  const auto number = owned_.size() + 2;
  owned_.push_back(std::make_unique<Host>(folder_.path() / ("h" + std::to_string(number)),
                                          test_address(static_cast<unsigned>(number)), redis.url(),
                                          source_root()));
  hosts_.push_back(owned_.back().get());
  hosts_.back()->start_daemon();
  return *hosts_.back();
}

std::vector<Host*> Fleet::add_hosts(int count) {
  for (int i = 0; i < count; ++i) add_host();
  return minions();
}

std::vector<Host*> Fleet::minions() { return {hosts_.begin() + 1, hosts_.end()}; }

void Fleet::start_master(const Words& options) {
  Words all{"--linger", "120s"};
  all.insert(all.end(), options.begin(), options.end());
  master().start("sync-master", all);
}

void Fleet::start_minions(const Words& options) {
  Words all{"--linger", "120s"};
  all.insert(all.end(), options.begin(), options.end());
  for (auto* const host : minions()) host->start("sync-minion", all);
}

void Fleet::set_task(const std::filesystem::path& path) {
  EXPECT_EQ(redis.cli({"set", "task", path.string()}), "OK");
}

void Fleet::wait_for_end(std::chrono::seconds limit) {
  const bool has_ended = eventually(
      [this] {
        return redis.cli({"exists", "task", "lookup", "synchronize_queue", "running_queue",
                          "finished_queue"}) == "0";
      },
      limit);
  EXPECT_TRUE(has_ended);
  if (has_ended) return;
  ADD_FAILURE() << "master:\n" << master().log();
  for (auto* const host : minions()) ADD_FAILURE() << host->address() << ":\n" << host->log();
}

void Fleet::expect_published(const Host& host, const std::filesystem::path& payload) {
  const auto published = host.repo() / payload.filename();
  const auto compared =
      run({"diff", "-r", "--no-dereference", payload.string(), published.string()});
  EXPECT_EQ(compared.status, 0) << compared.output << compared.errors;
  EXPECT_EQ(listing_of(published), listing_of(payload)) << host.address();
}

std::string listing_of(const std::filesystem::path& path) {
  // Escaped name, kind, mode, mtime to the nanosecond, size of a file, target of a link.
  const auto listed = run({"find", path.string(), "(", "-type", "d", "-printf",
                           "%P %y %m %T@ %l\\n", ")", "-o", "-printf", "%P %y %m %T@ %s %l\\n"});
  EXPECT_EQ(listed.status, 0) << listed.errors;
  std::istringstream lines(listed.output);
  std::vector<std::string> all;
  for (std::string line; std::getline(lines, line);) all.push_back(line);
  std::sort(all.begin(), all.end());
  std::string text;
  for (const auto& line : all) text += line + "\n";
  return text;
}

}  // namespace libsync::test
