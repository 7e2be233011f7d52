// An operator asks how a run went that has ended, without Redis: as text, as JSON, and as a
// picture.

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "fleet.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;
namespace fs = std::filesystem;

// Prints what a program of an operator reads from the JSON.
constexpr auto kReader =
    "import json, sys\n"
    "report = json.load(sys.stdin)\n"
    "print(report['run']['path'], report['run']['outcome'], report['run']['hosts_finished'])\n"
    "for host in report['hosts']:\n"
    "  print(host['address'], host.get('published_seconds', -1) >= 0, host['pieces_in_place'],\n"
    "        host.get('error', ''), sum(one['pieces'] for one in host['sources']))\n";

class Report : public Fleet {
 protected:
  std::string make_payload(const std::string& name, std::size_t bytes) {
    write_file(source_root() / name, random_bytes(bytes, 5));
    return (source_root() / name).string();
  }
  Ran report(Words options = {}) {
    options.insert(options.begin(), "report");
    return master().run("sync-master", options);
  }
  std::vector<fs::path> runs() {
    std::vector<fs::path> found;
    const auto folder = master().state() / "runs";
    if (!fs::exists(folder)) return found;
    for (const auto& entry : fs::directory_iterator(folder)) found.push_back(entry.path());
    return found;
  }
  void expect_well_formed(const std::string& svg) {
    const auto ran = run({"xmllint", "--noout", "-"}, svg);
    EXPECT_EQ(ran.status, 0) << ran.errors;
  }
};

TEST_F(Report, ShowsARealRunOfThreeHostsWithoutRedis) {
  add_hosts(3);
  EXPECT_EQ(report().status, 2);
  EXPECT_THAT(report().errors, HasSubstr("sync-master: no run has ended here: "));
  start_minions();
  start_master({"--minions", "3", "--piece-size", "64K"});
  const auto path = make_payload("model", 1'000'000);
  set_task(path);
  ASSERT_EQ(master().run("sync-master", {"wait", path, "--for", "60s"}).status, 0);
  ASSERT_THAT(runs(), SizeIs(1)) << "wait && report";
  struct stat status {};
  ASSERT_EQ(stat(runs().front().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  redis.stop();

  const auto text = report();
  EXPECT_EQ(text.status, 0) << text.errors;
  EXPECT_EQ(text.errors, "");
  EXPECT_THAT(text.output, StartsWith("run      "));
  EXPECT_THAT(text.output,
              HasSubstr("\npath     " + path + "\noutcome  complete: 3 of 3 hosts in "));
  EXPECT_THAT(text.output, HasSubstr("\npayload  1 MB, 16 pieces of 65.54 kB, "));
  EXPECT_THAT(text.output, HasSubstr("\nbound "));
  EXPECT_THAT(text.output, HasSubstr("\nslowest  " + minions().front()->address().substr(0, 4)));
  EXPECT_THAT(text.output, Not(HasSubstr("gave no account")));

  const auto json = report({"--json"});
  std::string expected = path + " complete 3\n";
  for (const auto* const host : minions()) expected += host->address() + " True 16  16\n";
  EXPECT_EQ(run({"python3", "-c", kReader}, json.output).output, expected) << json.output;

  const auto picture = report({"--svg", "-"});
  expect_well_formed(picture.output);
  const auto file = master().folder() / "run.svg";
  const auto shown =
      run({"sh", "-c", "umask 027; exec \"$0\" --config \"$1\" report --svg \"$2\"",
           program_path("sync-master"), (master().folder() / "sync.toml").string(), file.string()});
  EXPECT_EQ(shown.status, 0) << shown.errors;
  EXPECT_EQ(shown.output, text.output);
  EXPECT_EQ(content_of(file), picture.output);
  ASSERT_EQ(stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0640U);
  for (const auto* const host : minions()) {
    EXPECT_THAT(picture.output, HasSubstr(">" + host->address() + "<"));
  }
  EXPECT_EQ(report({"--svg", "-", "--json"}).status, 2);
  EXPECT_EQ(report({"--svg", master().folder().string()}).status, 4) << "it is no file";
  EXPECT_EQ(report({"--svg", (master().folder() / "nowhere" / "run.svg").string()}).status, 4);
}

// The host fails in its run with a text that a terminal, JSON and XML must not obey.
TEST_F(Report, EscapesTheReasonsOfHosts) {
  auto& good = add_host();
  auto& bad = add_host();
  const auto path = make_payload("model", 100'000);
  const auto inventory = master().folder() / "inventory";
  write_file(inventory, good.address() + "\n" + bad.address() + "\n");
  const Words tick{"--inventory", inventory.string()};
  set_task(path);
  ASSERT_EQ(master().run("sync-master", tick).status, 0);
  EXPECT_EQ(good.run("sync-minion").status, 0);
  // Any client with the password of the minions can do this.
  redis.cli({"hset", "sync:errors", bad.address(), "<script>\n\xff\"'&\x1b[31m"});
  redis.cli({"del", "task"});
  ASSERT_EQ(master().run("sync-master", tick).status, 1);
  ASSERT_THAT(runs(), SizeIs(1));
  const std::string escaped = "<script>\\n\\xff\"'&\\x1b[31m";
  const auto text = report().output;
  EXPECT_THAT(text, HasSubstr("outcome  cancelled: 1 of 2 hosts"));
  EXPECT_THAT(text, HasSubstr("failed   " + bad.address() + ": " + escaped + "\n"));
  const auto read = run({"python3", "-c", kReader}, report({"--json"}).output);
  EXPECT_EQ(read.status, 0) << read.errors;
  EXPECT_THAT(read.output, HasSubstr(bad.address() + " False 0 " + escaped + " 0\n"));
  const auto svg = report({"--svg", "-"}).output;
  expect_well_formed(svg);
  EXPECT_THAT(svg, HasSubstr("&lt;script&gt;\\n\\xff&quot;&#39;&amp;\\x1b[31m"));
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
}

TEST_F(Report, NamesTheRunsThatAreThereAndADamagedFile) {
  auto& host = add_host();
  std::vector<std::string> ids;
  for (const auto* const name : {"first", "second"}) {
    const auto path = make_payload(name, 1000);
    set_task(path);
    ASSERT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
    ids.push_back(redis.cli({"hget", "sync:run", "id"}));
    EXPECT_EQ(host.run("sync-minion").status, 0);
    ASSERT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  }
  ASSERT_THAT(runs(), SizeIs(2));
  EXPECT_THAT(report().output, HasSubstr("/second\n"));
  EXPECT_THAT(report({ids[0]}).output, HasSubstr("/first\n"));
  EXPECT_THAT(report({ids[0].substr(0, 12), "--json"}).output, HasSubstr("/first\""));
  const auto wrong = report({"no-run"});
  EXPECT_EQ(wrong.status, 2);
  for (const auto& id : ids) EXPECT_THAT(wrong.errors, HasSubstr(id.substr(0, 12) + " ("));
  EXPECT_EQ(report({""}).status, 2);
  for (const auto& path : runs()) {
    if (path.string().ends_with(ids[1])) fs::resize_file(path, fs::file_size(path) - 1);
  }
  const auto damaged = report();
  EXPECT_EQ(damaged.status, 4);
  EXPECT_THAT(damaged.output + damaged.errors, HasSubstr("is damaged: delete it"));
  EXPECT_EQ(report({ids[0]}).status, 0);
  ASSERT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  EXPECT_EQ(report().status, 0) << "the tick has written it again";
}

}  // namespace
}  // namespace libsync::test
