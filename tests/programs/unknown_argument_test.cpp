#include "programs/unknown_argument.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "test_process.h"

namespace libsync {
namespace {

TEST(Nearest, IsTheWordThatDiffersLeast) {
  const std::vector<std::string> words = {"status", "wait", "hosts", "source-root", "repo"};
  EXPECT_EQ(nearest("statsu", words), "status");
  EXPECT_EQ(nearest("stat", words), std::nullopt);
  EXPECT_EQ(nearest("souce-root", words), "source-root");
  EXPECT_EQ(nearest("wiat", words), "wait");
  EXPECT_EQ(nearest("host", words), "hosts");
  EXPECT_EQ(nearest("rep", words), "repo");
  EXPECT_EQ(nearest("", words), std::nullopt);
  EXPECT_EQ(nearest("x", words), std::nullopt);
  EXPECT_EQ(nearest(std::string(100, 's'), words), std::nullopt);
}

TEST(UnknownArgument, IsNamedWithTheWordThatWasMeant) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> rows = {
      {{"sync-master", "statsu"}, "'statsu' is no verb: did you mean 'status'?"},
      {{"sync-master", "--souce-root", "/x"},
       "--souce-root is no option: did you mean --source-root?"},
      {{"sync-master", "--souce-root=/x"},
       "--souce-root is no option: did you mean --source-root?"},
      {{"sync-master", "status", "--jsn"}, "--jsn is no option: did you mean --json?"},
      {{"sync-master", "--json"},
       "--json is an option of the verb status: write it behind the verb"},
      {{"sync-master", "--bwlimit", "3"},
       "--bwlimit is an option of sync-minion: drop it, or call that program"},
      {{"sync-minion", "status", "--minions", "3"},
       "--minions is an option of sync-master: drop it, or call that program"},
      {{"sync-master", "run", "status"}, "'status' is no argument of the verb run: drop it"},
      {{"sync-minion", "--frobnicate"}, "--frobnicate is no option: drop it"},
      {{"sync-minion", "wait", "/data/x"}, "'wait' is a verb of sync-master: call that program"},
      {{"sync-minion", "--owner=maybe"},
       "Could not convert: --owner = maybe: a flag needs no value"},
      {{"sync-minion", "-q"}, "-q is no option: drop it"},
      {{"sync-minion", "frobnicate\n"},
       "'frobnicate\\n' is no verb: the verbs are run, status, check"},
  };
  for (const auto& [words, message] : rows) {
    auto line = words;
    line.front() = PROGRAM_FOLDER "/" + words.front();
    const auto ran = test::run(line);
    EXPECT_EQ(ran.status, 2);
    EXPECT_EQ(problem_in(ran), words.front() + ": " + message + " (see --help)\n");
    EXPECT_EQ(ran.output, "");
  }
}

}  // namespace
}  // namespace libsync
