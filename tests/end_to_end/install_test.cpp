// `cmake --install` puts each file into its folder.

#include <gmock/gmock.h>

#include <set>

#include "temporary_folder.h"
#include "test_process.h"

namespace libsync::test {
namespace {

std::set<std::string> installed(const std::vector<std::string>& options) {
  const TemporaryFolder folder;
  std::vector<std::string> words{"cmake", "--install", BUILD_FOLDER, "--prefix",
                                 folder.path().string()};
  words.insert(words.end(), options.begin(), options.end());
  const auto ran = run(words);
  EXPECT_EQ(ran.status, 0) << ran.errors;
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path())) {
    if (entry.is_regular_file()) files.insert(entry.path().lexically_relative(folder.path()));
  }
  return files;
}

const std::set<std::string> kPrograms = {
    "etc/logrotate.d/sync-fanout",
    "usr/bin/sync-master",
    "usr/bin/sync-minion",
    "usr/share/bash-completion/completions/sync-master",
    "usr/share/bash-completion/completions/sync-minion",
    "usr/share/doc/sync-fanout/LICENSE",
    "usr/share/doc/sync-fanout/README.md",
    "usr/share/doc/sync-fanout/examples/redis-users.conf",
    "usr/share/doc/sync-fanout/examples/rsyncd.conf",
    "usr/share/doc/sync-fanout/examples/rsyncd.secrets.example",
    "usr/share/doc/sync-fanout/examples/sync.toml",
    "usr/share/man/man5/sync.toml.5",
    "usr/share/man/man8/sync-master.8",
    "usr/share/man/man8/sync-minion.8",
};

TEST(Install, PutsEachFileIntoItsFolder) {
  auto expected = kPrograms;
  expected.insert({"etc/cron.d/sync-fanout-master", "etc/cron.d/sync-fanout-minion"});
  EXPECT_EQ(installed({}), expected);
}

TEST(Install, AComponentOfARoleIsItsCronFileAlone) {
  EXPECT_EQ(installed({"--component", "programs"}), kPrograms);
  EXPECT_EQ(installed({"--component", "minion"}),
            std::set<std::string>{"etc/cron.d/sync-fanout-minion"});
  EXPECT_EQ(installed({"--component", "master"}),
            std::set<std::string>{"etc/cron.d/sync-fanout-master"});
}

TEST(Install, CronCanReadTheShippedFiles) {
  for (const auto* const role : {"master", "minion"}) {
    const auto text = content_of(SOURCE_FOLDER "/cron/sync-fanout-" + std::string(role));
    EXPECT_TRUE(text.ends_with("\n")) << "cron ignores a last line without its end";
    EXPECT_THAT(text, testing::Not(testing::HasSubstr("%")))
        << "cron reads it as the end of the line";
  }
}

}  // namespace
}  // namespace libsync::test
