// The layering rules of the project, read from its sources: who may include whom, who alone touches
// the outside world, and what is not written at all.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "temporary_folder.h"

namespace libsync {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSubsetOf;
using testing::Not;

using Names = std::set<std::string>;

const std::filesystem::path kTop(SOURCE_FOLDER);

struct Source {
  std::string path;  // Below the top level.
  std::vector<std::string> lines;

  [[nodiscard]] std::string name() const { return std::filesystem::path(path).filename(); }
};

std::vector<Source> sources_in(const std::string& folder) {
  std::vector<Source> all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kTop / folder)) {
    if (!entry.is_regular_file()) continue;
    Source source{entry.path().lexically_relative(kTop), {}};
    std::istringstream content(test::content_of(entry.path()));
    for (std::string line; std::getline(content, line);) source.lines.push_back(line);
    all.push_back(std::move(source));
  }
  EXPECT_THAT(all, Not(IsEmpty())) << folder;
  return all;
}

// src/ and include/.
const std::vector<Source>& product() {
  static const auto all = [] {
    auto sources = sources_in("src");
    for (auto& header : sources_in("include")) sources.push_back(std::move(header));
    return sources;
  }();
  return all;
}

std::string without_comment(const std::string& line) { return line.substr(0, line.find("//")); }

// Where the code, comments apart, matches.
Names files_that_match(const std::string& pattern) {
  const std::regex regex(pattern);
  Names found;
  for (const auto& source : product()) {
    for (const auto& line : source.lines) {
      if (std::regex_search(without_comment(line), regex)) found.insert(source.path);
    }
  }
  return found;
}

// What a file includes, with its brackets or quotes.
Names includes_of(const Source& source) {
  static const std::regex directive(R"re(^\s*#\s*include\s*(["<][^">]+[">]))re");
  Names all;
  for (const auto& line : source.lines) {
    std::smatch match;
    if (std::regex_search(line, match, directive)) all.insert(match[1]);
  }
  return all;
}

Names quoted(const Names& names) {
  Names all;
  for (const auto& name : names) all.insert('"' + name + '"');
  return all;
}

TEST(Layout, OneFileSeesHiredis) {
  EXPECT_THAT(files_that_match("#\\s*include.*hiredis"), ElementsAre("src/redis/connection.cpp"));
}

TEST(Layout, OneFileSeesTheDigestsLibrary) {
  EXPECT_THAT(files_that_match("#\\s*include.*(llvm|blake3)"), ElementsAre("src/core/digest.cpp"));
}

TEST(Layout, OneFileStartsChildProcesses) {
  EXPECT_THAT(
      files_that_match("\\b(v?fork|exec[lv]p?e?|waitpid|waitid|posix_spawnp?|popen|system) ?\\("),
      ElementsAre("src/os/process.cpp"));
}

TEST(Layout, OneFileReadsTheClock) {
  EXPECT_THAT(files_that_match("\\b(steady_clock|system_clock|high_resolution_clock)::now|"
                               "\\b(clock_gettime|gettimeofday)\\("),
              ElementsAre("src/os/system_clock.cpp"));
}

TEST(Layout, NothingSleepsButTheClock) {
  EXPECT_THAT(files_that_match("\\b(sleep|usleep|nanosleep|sleep_for|sleep_until)\\("), IsEmpty());
}

TEST(Layout, OnlyMainsSeeTheCommandLineParser) {
  EXPECT_THAT(files_that_match("#\\s*include.*<CLI/"),
              IsSubsetOf({"src/programs/options.cpp", "src/programs/options.h",
                          "src/programs/sync_master.cpp", "src/programs/sync_minion.cpp"}));
}

TEST(Layout, OnlyMasterAndMinionLogAboveDebug) {
  const auto loud = files_that_match("spdlog::(info|warn|error|critical|log)\\(");
  EXPECT_THAT(loud, Not(IsEmpty()));
  const std::regex allowed("src/(master|minion|programs)/[a-z_]*\\.cpp");
  for (const auto& path : loud) EXPECT_TRUE(std::regex_match(path, allowed)) << path;
}

TEST(Layout, PublicHeadersNameNothingButTheStandardAndThemselves) {
  static const std::regex allowed("<[a-z_]+>|\"libsync/[a-z0-9_]+\\.h\"");
  const auto headers = sources_in("include/libsync");
  for (const auto& header : headers) {
    for (const auto& include : includes_of(header)) {
      EXPECT_TRUE(std::regex_match(include, allowed)) << header.path << ": " << include;
    }
  }
}

TEST(Layout, AdaptersSeeTheirSeamAndTheVocabulary) {
  struct Family {
    std::string prefix;
    Names allowed;
  };
  const std::vector<Family> families = {
      {"redis_",
       {"libsync/address.h", "libsync/clock.h", "libsync/coordinator.h", "libsync/digest.h",
        "libsync/failure.h", "libsync/log.h", "libsync/number.h", "libsync/pieces.h",
        "libsync/pull_end.h", "libsync/redis_server.h", "libsync/run.h", "libsync/status.h",
        "libsync/task.h", "redis_answer.h", "redis_connection.h", "redis_coordinator.h"}},
      {"rsync_",
       {"libsync/address.h", "libsync/clock.h", "libsync/failure.h", "libsync/log.h",
        "libsync/manifest.h", "libsync/pull_end.h", "libsync/transfer.h", "process.h",
        "rsync_transfer.h"}},
  };
  for (const auto& [prefix, allowed] : families) {
    std::size_t files = 0;
    for (const auto& source : product()) {
      if (!source.name().starts_with(prefix)) continue;
      ++files;
      auto includes = includes_of(source);
      std::erase_if(includes, [](const std::string& include) { return include.front() == '<'; });
      EXPECT_THAT(includes, IsSubsetOf(quoted(allowed))) << source.path;
    }
    EXPECT_GE(files, 2U) << prefix;
  }
}

TEST(Layout, FilesStayShort) {
  for (const auto& source : product()) {
    EXPECT_LE(source.lines.size(), 450U) << source.path;
  }
}

TEST(Layout, NothingIsLeftForLaterOrWrittenUnchecked) {
  // In parts, because this file is read, too.
  const std::regex banned(
      "GTEST_"
      "SKIP|DISABLED"
      "_|TO"
      "DO|FIX"
      "ME|(^|[^a-z_])(strcpy|strcat|v?sprintf|gets)\\(");
  for (const auto* const folder : {"src", "include", "tests"}) {
    for (const auto& source : sources_in(folder)) {
      for (std::size_t i = 0; i < source.lines.size(); ++i) {
        EXPECT_FALSE(std::regex_search(source.lines[i], banned))
            << source.path << ":" << i + 1 << ": " << source.lines[i];
      }
    }
  }
}

TEST(Layout, TopLevelIsAsPrescribed) {
  Names found;
  for (const auto& entry : std::filesystem::directory_iterator(kTop)) {
    const std::string name = entry.path().filename();
    // What .gitignore names is no part of the project.
    if (name.front() != '.' && name != "build" && name != "compile_commands.json") {
      found.insert(name);
    }
  }
  EXPECT_THAT(found, ElementsAre("CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md",
                                 "cron", "include", "rsyncd", "src", "tests"));
}

}  // namespace
}  // namespace libsync
