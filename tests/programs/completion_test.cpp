// bash completion offers the verbs, options and values that --help names.

#include <gmock/gmock.h>

#include <algorithm>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "temporary_folder.h"
#include "test_process.h"

namespace libsync {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::SizeIs;

using Names = std::set<std::string>;

const std::vector<std::string> kPrograms = {"sync-master", "sync-minion"};

std::string program_path(const std::string& program) { return PROGRAM_FOLDER "/" + program; }

std::string help_of(const std::string& program, const std::string& verb = "") {
  std::vector<std::string> words{program_path(program)};
  if (!verb.empty()) words.push_back(verb);
  words.emplace_back("--help");
  return test::run(words).output;
}

Names matches(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern, std::regex::ECMAScript | std::regex::multiline);
  Names all;
  for (std::sregex_iterator at(text.begin(), text.end(), regex), end; at != end; ++at) {
    all.insert((*at)[1]);
  }
  return all;
}

Names options_in(const std::string& help) { return matches(help, "^  (?:-h,)?(--[a-z-]+)"); }

Names verbs_in(const std::string& help) {
  return matches(help.substr(help.find("Subcommands:")), "^  ([a-z]+) ");
}

// The words that bash offers for the last of these; `folder`: where names of files come from.
Names offered(const std::string& program, std::vector<std::string> typed,
              const std::string& folder = "/") {
  static const char* const script =
      "cd \"$1\" && . \"$2\" && shift 2 && COMP_WORDS=(\"$@\") && COMP_CWORD=$(($# - 1)) && "
      "_sync_fanout \"$1\" \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\" && "
      "printf '%s\\n' \"${COMPREPLY[@]}\"";
  std::vector<std::string> words{"bash",
                                 "-c",
                                 script,
                                 "bash",
                                 folder,
                                 SOURCE_FOLDER "/src/packaging/completion",
                                 program_path(program)};
  words.insert(words.end(), typed.begin(), typed.end());
  const auto ran = test::run(words);
  EXPECT_EQ(ran.status, 0) << ran.errors;
  EXPECT_EQ(ran.errors, "");
  Names all;
  std::istringstream lines(ran.output);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) all.insert(line);
  }
  return all;
}

TEST(Completion, OffersEachVerbOfHelp) {
  for (const auto& program : kPrograms) {
    const auto verbs = verbs_in(help_of(program));
    EXPECT_THAT(verbs, IsSupersetOf({"run", "status"}));
    EXPECT_EQ(offered(program, {""}), verbs) << program;
    EXPECT_THAT(offered(program, {"--json", "stat"}), ElementsAre("status"));
  }
}

TEST(Completion, OffersEachOptionOfHelp) {
  for (const auto& program : kPrograms) {
    const auto options = options_in(help_of(program));
    EXPECT_THAT(options, IsSupersetOf({"--config", "--linger", "--help"}));
    EXPECT_EQ(offered(program, {"-"}), options) << program;
    EXPECT_EQ(offered(program, {"run", "--"}), options) << program;
    EXPECT_THAT(offered(program, {"--lin"}), ElementsAre("--linger"));
  }
}

// The help of a verb names the options of its program that it uses.
TEST(Completion, OffersForAVerbTheOptionsOfItsHelp) {
  for (const auto& program : kPrograms) {
    for (const auto& verb : verbs_in(help_of(program))) {
      if (verb == "run") continue;
      const auto help = help_of(program, verb);
      auto expected = options_in(help);
      for (const auto& line : matches(help, "^It also uses these options of [a-z-]+: (.*)$")) {
        const auto more = matches(line, "(--[a-z-]+)");
        expected.insert(more.begin(), more.end());
      }
      EXPECT_EQ(offered(program, {verb, "--"}), expected) << program << " " << verb;
    }
  }
}

TEST(Completion, OffersTheValuesThatHelpLists) {
  EXPECT_EQ(offered("sync-minion", {"--log-level", ""}),
            (Names{"debug", "info", "warning", "error"}));
  EXPECT_EQ(offered("sync-master", {"--spread", ""}), (Names{"auto", "claims", "trees"}));
  EXPECT_EQ(offered("sync-master", {"--piece-size", ""}), (Names{"auto", "whole"}));
  EXPECT_EQ(offered("sync-master", {"hosts", "--state", ""}),
            (Names{"seen", "silent", "finished", "failed", "missing", "no-feed"}));
  EXPECT_THAT(offered("sync-master", {"--quorum", ""}), IsEmpty());
}

TEST(Completion, OffersFilesAndFolders) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "a file", "");
  std::filesystem::create_directory(folder.path() / "folder");
  const auto at = folder.path().string();
  EXPECT_EQ(offered("sync-minion", {"--config", ""}, at), (Names{"a file", "folder"}));
  EXPECT_EQ(offered("sync-minion", {"--repo", ""}, at), (Names{"folder"}));
  EXPECT_EQ(offered("sync-master", {"wait", "a"}, at), (Names{"a file"}));
  EXPECT_THAT(offered("sync-master", {"status", ""}, at), IsEmpty());
}

// A flag is no option with a value: a verb may come next.
TEST(Completion, OffersAVerbAfterAFlag) {
  EXPECT_THAT(offered("sync-minion", {"--owner", ""}),
              SizeIs(verbs_in(help_of("sync-minion")).size()));
}

}  // namespace
}  // namespace libsync
