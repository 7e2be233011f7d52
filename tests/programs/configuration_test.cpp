// Both programs with configuration files: precedence, shared keys, and the file, line and key in
// errors.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <regex>
#include <sstream>

#include "temporary_folder.h"
#include "test_process.h"

namespace libsync::test {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

using Words = std::vector<std::string>;

// No server listens here, so a program that tries to connect has read its configuration.
const std::string kNoRedis = "redis://127.0.0.1:1/0";
constexpr int kUsage = 2;
constexpr int kRedisIsOutOfReach = 3;

const char* const kPrograms[] = {"sync-master", "sync-minion"};

class Configuration : public testing::Test {
 protected:
  [[nodiscard]] Ran run_with(const std::string& program, const std::string& text,
                             const Words& options = {}) const {
    write_file(file_, text);
    Words words{PROGRAM_FOLDER "/" + program, "--config", file_.string(), "status"};
    words.insert(words.end(), options.begin(), options.end());
    return run(words);
  }

  // The message without its prefix `PROGRAM: FILE:`.
  [[nodiscard]] std::string refusal(const std::string& program, const std::string& text,
                                    const Words& options = {}) const {
    const auto ran = run_with(program, text, options);
    EXPECT_EQ(ran.status, kUsage) << text;
    const auto begin = program + ": " + file_.string() + ":";
    const auto problem = problem_in(ran);
    EXPECT_TRUE(problem.starts_with(begin) && problem.ends_with("\n")) << ran.errors;
    return problem.substr(std::min(begin.size(), problem.size()));
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "sync.toml";
};

// The shipped file with every setting uncommented, all but `without`.
std::string shipped_with_every_key(const std::filesystem::path& folder, const std::string& without,
                                   int* keys) {
  write_file(folder / "password", "secret\n");
  EXPECT_EQ(chmod((folder / "password").c_str(), 0600), 0);
  write_file(folder / "hosts", "10.0.1.17\n");
  const std::map<std::string, std::string> here = {
      {"redis", kNoRedis},
      {"redis-password-file", (folder / "password").string()},
      {"rsync-password-file", (folder / "password").string()},
      {"log-file", (folder / "log").string()},
      {"inventory", (folder / "hosts").string()}};
  static const std::regex setting("(# )?([a-z-]+)( = .*)");
  std::istringstream lines(content_of(SOURCE_FOLDER "/cron/sync.toml"));
  std::string text;
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_match(line, match, setting)) {
      const auto key = match[2].str();
      if (key == without) continue;
      ++*keys;
      line = here.contains(key) ? key + " = \"" + here.at(key) + "\"" : key + match[3].str();
    }
    text += line + "\n";
  }
  return text;
}

TEST_F(Configuration, AcceptsEveryKeyOfTheShippedFile) {
  for (const auto* const program : kPrograms) {
    // The master accepts only one of these two.
    for (const auto* const without : {"minions", "inventory"}) {
      int keys = 0;
      const auto ran = run_with(program, shipped_with_every_key(folder_.path(), without, &keys));
      EXPECT_EQ(ran.status, kRedisIsOutOfReach) << program << ": " << ran.errors;
      EXPECT_EQ(ran.errors, "") << program;
      EXPECT_GE(keys, 25);
    }
  }
}

TEST_F(Configuration, IsSharedAndEachProgramIgnoresTheValuesOfTheOther) {
  const auto text =
      "redis = \"" + kNoRedis + "\"\nquorum = 101\nbwlimit = \"10m\"\nowner = false\n";
  EXPECT_EQ(run_with("sync-minion", text, {"--address", "10.0.0.1"}).status, kRedisIsOutOfReach);
  EXPECT_EQ(refusal("sync-master", text), "2: quorum '101' is not a whole number from 1 to 100\n");
  for (const auto* const program : kPrograms) {
    EXPECT_EQ(refusal(program, "sorce-root = \"/x\""),
              "1: neither program knows the key 'sorce-root': did you mean 'source-root'?\n");
    EXPECT_EQ(refusal(program, "owner = 1.5"),
              "1: 'owner' must be true or false: write owner = true\n");
    EXPECT_EQ(refusal(program, "quorum = true"),
              "1: 'quorum' must be a text or a number: write quorum = \"VALUE\"\n");
    for (const auto* const key : {"config", "help", "version", "json"}) {
      EXPECT_THAT(refusal(program, key + std::string(" = true")),
                  HasSubstr("neither program knows"));
    }
  }
}

TEST_F(Configuration, LosesToFlags) {
  const auto text = "linger = \"soon\"\npeers = [\"x\"]\nrepo = \"relative\"\n";
  const Words flags{"--linger", "0", "--peers", "10.0.0.0/8", "--redis", kNoRedis};
  auto all = flags;
  all.insert(all.end(), {"--repo", "/tmp"});
  EXPECT_EQ(run_with("sync-master", text, all).status, kRedisIsOutOfReach);
  EXPECT_EQ(refusal("sync-master", text, flags),
            "3: repo must be an absolute path, and 'relative' is none: write it from / on\n");
}

TEST_F(Configuration, IsNamedWithTheLineAndTheKeyOfAWrongValue) {
  const struct {
    const char* program;
    const char* line;
    const char* refusal;
  } rows[] = {
      {"sync-minion", "linger = \"soon\"", "linger 'soon' is not a duration such as 115s"},
      {"sync-minion", "slots = 65", "slots '65' is not a whole number from 1 to 64"},
      {"sync-minion", "slots = \"x\"", "slots 'x' is not a whole number from 1 to 64"},
      {"sync-minion", "slots = 5.0", "slots '5.0' is not a whole number from 1 to 64"},
      {"sync-minion", "rsync-port = 0", "rsync-port '0' is not a whole number from 1 to 65535"},
      {"sync-minion", "address = \"127.2\"",
       "address '127.2' is not a plain unicast IPv4 or IPv6 address"},
      {"sync-minion", "peers = [\"10.0.0.0/8\", \"10.0.0.1/8\"]",
       "peers '10.0.0.1/8' is not an address range such as 10.0.0.0/8"},
      {"sync-minion", "redis = \"redis://u:s3cret@h/0\"",
       "redis holds a password: put it into a file of mode 0600 and name that with "
       "--redis-password-file"},
      {"sync-minion", "redis-password-file = \"/nonexistent\"",
       "redis-password-file: the password file '/nonexistent' is not there: make it"},
      {"sync-minion", "prefix = \"a b\"",
       "prefix 'a b' holds a space or a control character: choose another"},
      {"sync-minion", "module = \"a/b\"",
       "module 'a/b' is not a plain name: use letters, digits, '-', '_' and '.'"},
      {"sync-minion", "log-level = \"loud\"",
       "log-level 'loud' is not debug, info, warning or error"},
      {"sync-minion", "owner = \"maybe\"",
       "owner 'maybe' is neither true nor false: write owner = true"},
      {"sync-master", "minions = 0", "minions '0' is not a whole number from 1 to 1000000"},
      {"sync-master", "inventory = \"/nonexistent\"",
       "inventory '/nonexistent' is not there: make it"},
      {"sync-master", "source-root = [\"/a\", \"b\"]",
       "source-root 'b' is not an absolute path: write it from / on"},
      {"sync-master", "piece-size = \"tiny\"",
       "piece-size 'tiny' is not auto, whole, or a size such as 16M"},
      {"sync-master", "spread = \"wide\"", "spread 'wide' is not auto, claims or trees"},
      {"sync-master", "push-to = \"host\"",
       "push-to 'host' is not a plain unicast IPv4 or IPv6 address"},
      {"sync-master", "grace = \"\"", "grace '' is not a duration such as 15m"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(refusal(row.program, "\n# Two lines before it.\n" + std::string(row.line)),
              "3: " + std::string(row.refusal) + "\n");
  }
}

TEST_F(Configuration, IsNamedWhereItContradictsItself) {
  EXPECT_EQ(refusal("sync-master", "minions = 3\ninventory = \"/etc/hosts\"\n"),
            "2: inventory and --minions both say who is expected: give one of them\n");
}

// The disk shows these faults, and not the text.
TEST_F(Configuration, IsNamedWithTheLineOfAFolderThatIsNotThere) {
  const auto tick = [&](const std::string& text) {
    write_file(file_, "redis = \"" + kNoRedis + "\"\naddress = \"10.0.0.1\"\n" + text);
    return run({PROGRAM_FOLDER "/sync-master", "--config", file_.string()}).output;
  };
  const auto repo = "repo = \"" + folder_.path().string() + "\"\n";
  EXPECT_THAT(tick(repo + "source-root = \"/nonexistent\"\n"),
              HasSubstr("warning: " + file_.string() +
                        ":4: source-root '/nonexistent' is not there: make the folder"));
  EXPECT_THAT(tick("repo = \"/nonexistent\"\nsource-root = \"/tmp\"\n"),
              HasSubstr("error: " + file_.string() + ":3: repo '/nonexistent' is not there: make"));
}

TEST_F(Configuration, RefusesAPrefixThatRedisRefuses) {
  const std::string longest(1000, 'x');
  EXPECT_EQ(refusal("sync-minion", "prefix = \"" + longest + "x\""),
            "1: prefix has 1001 bytes, and at most 1000 are allowed: choose a shorter one\n");
}

TEST_F(Configuration, IsNotNamedForATypedValue) {
  const auto ran = run_with("sync-minion", "linger = \"5s\"", {"--linger", "soon"});
  EXPECT_EQ(ran.status, kUsage);
  EXPECT_EQ(problem_in(ran), "sync-minion: --linger 'soon' is not a duration such as 115s\n");
  EXPECT_EQ(problem_in(run_with("sync-minion", "", {"--slots", "65"})),
            "sync-minion: --slots: '65' is not a whole number from 1 to 64 (see --help)\n");
}

TEST_F(Configuration, MustExistIfTheOptionNamesIt) {
  for (const auto* const program : kPrograms) {
    const auto ran =
        run({PROGRAM_FOLDER "/" + std::string(program), "--config", "/nonexistent.toml", "status"});
    EXPECT_EQ(ran.status, kUsage);
    EXPECT_EQ(problem_in(ran), program + std::string(": --config '/nonexistent.toml' is not there: "
                                                     "make it, or correct the name\n"));
  }
}

TEST_F(Configuration, DoesNotPreventHelpIfItIsBroken) {
  write_file(file_, "no TOML");
  for (const auto* const asked : {"--help", "--version"}) {
    EXPECT_EQ(run({PROGRAM_FOLDER "/sync-minion", "--config", file_.string(), asked}).status, 0);
  }
}

// Runs in a namespace where any user may mount, with an empty /etc over the machine's own.
TEST_F(Configuration, MayBeMissingButNotUnreadableAtTheDefaultPath) {
  const auto run_there = [](const std::string& script, const Words& options) {
    const auto all = "mount -t tmpfs tmpfs /etc && " + script + " && exec \"$0\" status \"$@\"";
    Words words{"unshare", "--user", "--map-root-user", "--mount", "bash", "-c", all};
    words.emplace_back(PROGRAM_FOLDER "/sync-master");
    words.insert(words.end(), options.begin(), options.end());
    return run(words);
  };
  const Words redis{"--redis", kNoRedis};
  EXPECT_EQ(run_there("true", redis).status, kRedisIsOutOfReach);
  const auto unreadable = run_there("mkdir -p /etc/sync-fanout/sync.toml", redis);
  EXPECT_EQ(unreadable.status, kUsage);
  EXPECT_EQ(problem_in(unreadable),
            "sync-master: cannot read '/etc/sync-fanout/sync.toml': Is a directory: "
            "let this user read it, or name another file by --config\n");
  const auto other = run_there("mkdir -p /etc/sync-fanout/sync.toml",
                               {"--redis", kNoRedis, "--config", "/dev/null"});
  EXPECT_EQ(other.status, kRedisIsOutOfReach) << other.errors;
  const auto read =
      run_there("mkdir /etc/sync-fanout && echo 'slots = 0' >/etc/sync-fanout/sync.toml", redis);
  EXPECT_EQ(read.status, kUsage);
  EXPECT_THAT(read.errors, HasSubstr("/etc/sync-fanout/sync.toml:1: slots '0' is not a whole"));
}

}  // namespace
}  // namespace libsync::test
