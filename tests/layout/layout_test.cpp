// The layering rules of the project, read from its sources.
//
// A folder is a rule: it decides what its files may include. One file alone touches each part of
// the outside world. Some words are not written at all.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "temporary_folder.h"

namespace libsync {
namespace {

using testing::AnyOf;
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

// Files whose code, comments apart, matches.
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

// The includes of a file, with their brackets or quotes.
Names includes_of(const Source& source) {
  static const std::regex directive(R"re(^\s*#\s*include\s*(["<][^">]+[">]))re");
  Names all;
  for (const auto& line : source.lines) {
    std::smatch match;
    if (std::regex_search(line, match, directive)) all.insert(match[1]);
  }
  return all;
}

TEST(Layout, OneFileSeesHiredis) {
  EXPECT_THAT(files_that_match("#\\s*include.*hiredis"), ElementsAre("src/redis/connection.cpp"));
}

TEST(Layout, OneFileSeesToml) {
  EXPECT_THAT(files_that_match("#\\s*include.*toml"), ElementsAre("src/programs/config_file.cpp"));
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
              IsSubsetOf({"src/programs/config_options.h", "src/programs/options.h",
                          "src/programs/sync_master.cpp", "src/programs/sync_minion.cpp"}));
}

TEST(Layout, OnlyMasterAndMinionLogAboveDebug) {
  const auto loud = files_that_match("spdlog::(info|warn|error|critical|log)\\(");
  EXPECT_THAT(loud, Not(IsEmpty()));
  const std::regex allowed("src/(master|minion|programs)/[a-z_]*\\.cpp");
  for (const auto& path : loud) EXPECT_TRUE(std::regex_match(path, allowed)) << path;
}

// --- Wings: a folder is a rule ---

// A wing, and what its files may include: other wings, seams by name, libraries.
struct Wing {
  std::string folder;
  Names wings;
  Names seams;
  Names libraries;
};

const Names kSeams = {"run.h",          "master_coordinator.h", "minion_coordinator.h",
                      "observer.h",     "transfer.h",           "clock.h",
                      "after_publish.h"};

const std::vector<Wing>& wings() {
  static const std::vector<Wing> all = {
      {"include/libsync/core", {"core"}, {}, {}},
      {"src/core", {"core"}, {}, {"fmt", "blake3"}},
      {"include/libsync", {"core"}, kSeams, {}},
      {"src/os", {"core", "os"}, {"clock.h"}, {"fmt", "spdlog"}},
      {"src/store", {"core", "os", "store"}, {"run.h", "clock.h"}, {"fmt"}},
      {"src/redis", {"core", "os", "redis"}, kSeams, {"fmt", "hiredis"}},
      {"src/rsync", {"core", "os", "rsync"}, kSeams, {"fmt"}},
      {"src/feed", {"core", "os", "store", "feed"}, kSeams, {"fmt"}},
      {"src/master", {"core", "os", "store", "feed", "master"}, kSeams, {"fmt", "spdlog"}},
      {"src/minion", {"core", "os", "store", "feed", "minion"}, kSeams, {"fmt", "spdlog"}},
      {"src/programs",
       {"core", "os", "store", "redis", "rsync", "feed", "master", "minion", "programs"},
       kSeams,
       {"fmt", "spdlog", "cli11", "json", "toml"}},
  };
  return all;
}

// Files that decide. They include core, the values of the seams, and each other: no disk, no Redis,
// no log.
const std::map<std::string, Names> kPure = {
    {"src/master/", {"plan"}},
    {"src/minion/",
     {"candidates", "claims", "ledger", "offer", "pace", "piece_table", "puller", "silence",
      "tally", "trees"}},
};

// The same, without a source: what the deciding files of a folder have in common.
const std::map<std::string, Names> kPureHeaders = {
    {"src/master/", {}},
    {"src/minion/", {"act", "assignment", "delivery", "disk_state", "policy", "timers"}},
};

// Seams that are values only.
const Names kValueSeams = {"run.h", "master_coordinator.h", "minion_coordinator.h", "transfer.h",
                           "after_publish.h"};

std::string folder_of(const std::string& path) { return std::filesystem::path(path).parent_path(); }

// The library that a system header belongs to; empty for the standard and the operating system.
std::string library_of(const std::string& header) {
  const std::vector<std::pair<std::string, std::string>> prefixes = {
      {"fmt/", "fmt"},      {"spdlog/", "spdlog"}, {"hiredis", "hiredis"}, {"llvm-c/", "blake3"},
      {"blake3", "blake3"}, {"CLI/", "cli11"},     {"nlohmann/", "json"},  {"toml", "toml"}};
  for (const auto& [prefix, library] : prefixes) {
    if (header.starts_with(prefix)) return library;
  }
  return "";
}

// Why a file of `wing` may not include this; empty if it may.
std::string fault_of_include(const Wing& wing, const std::string& include) {
  const auto inner = include.substr(1, include.size() - 2);
  if (include.front() == '<') {
    static const std::regex standard(
        "[a-z_0-9]+|(sys|linux|arpa|netinet)/[a-z_0-9]+\\.h|[a-z]+\\.h");
    const auto library = library_of(inner);
    if (!library.empty()) {
      return wing.libraries.contains(library) ? "" : "the library " + library;
    }
    if (!std::regex_match(inner, standard)) return "a header of no known library";
    const bool is_public = wing.folder.starts_with("include/");
    return is_public && inner.find('.') != std::string::npos ? "a header of the system" : "";
  }
  if (inner.starts_with("libsync/core/")) return wing.wings.contains("core") ? "" : "core";
  if (inner.starts_with("libsync/")) {
    return wing.seams.contains(inner.substr(8)) ? "" : "the seam " + inner.substr(8);
  }
  const auto slash = inner.find('/');
  if (slash == std::string::npos) return "a header without its wing";
  return wing.wings.contains(inner.substr(0, slash)) ? "" : "the wing " + inner.substr(0, slash);
}

TEST(Layout, EveryFileLiesInAWing) {
  Names folders;
  for (const auto& wing : wings()) folders.insert(wing.folder);
  folders.insert("src");                  // CMakeLists.txt
  folders.insert("src/redis/functions");  // The functions in Lua.
  for (const auto* const part : {"", "/programs", "/role"}) {
    folders.insert("src/packaging" + std::string(part));  // The Debian packages.
  }
  for (const auto& source : product()) {
    EXPECT_TRUE(folders.contains(folder_of(source.path))) << source.path;
  }
}

TEST(Layout, AWingIncludesWhatItsRowAllows) {
  for (const auto& wing : wings()) {
    std::size_t files = 0;
    for (const auto& source : product()) {
      if (folder_of(source.path) != wing.folder) continue;
      ++files;
      for (const auto& include : includes_of(source)) {
        EXPECT_EQ(fault_of_include(wing, include), "") << source.path << ": " << include;
      }
    }
    EXPECT_GE(files, 2U) << wing.folder;
  }
}

// Why a file that decides may not include this; empty if it may. `pure`: the names that it may see.
std::string fault_of_pure_include(const std::string& folder, const Names& pure,
                                  const std::string& include) {
  const auto inner = include.substr(1, include.size() - 2);
  if (include.front() == '<') {
    const auto library = library_of(inner);
    if (library == "fmt") return "";
    return library.empty() && inner.find('.') == std::string::npos ? "" : "more than the standard";
  }
  if (inner.starts_with("libsync/core/")) return "";
  if (inner.starts_with("libsync/")) {
    return kValueSeams.contains(inner.substr(8)) ? "" : "a seam that is no value";
  }
  const auto sibling = inner.substr(0, inner.rfind('.')).substr(inner.find('/') + 1);
  const bool is_pure = "src/" + folder_of(inner) + "/" == folder && pure.contains(sibling);
  return is_pure ? "" : "a file that does not only decide";
}

TEST(Layout, WhatDecidesSeesNoDiskNoRedisAndNoLog) {
  for (const auto& [folder, names] : kPure) {
    const auto& headers = kPureHeaders.at(folder);
    Names pure = names;
    pure.insert(headers.begin(), headers.end());
    std::map<std::string, std::size_t> files;
    for (const auto& source : product()) {
      const auto stem = std::filesystem::path(source.path).stem().string();
      if (folder_of(source.path) + "/" != folder || !pure.contains(stem)) continue;
      ++files[stem];
      for (const auto& include : includes_of(source)) {
        EXPECT_EQ(fault_of_pure_include(folder, pure, include), "")
            << source.path << ": " << include;
      }
    }
    for (const auto& name : names) EXPECT_EQ(files[name], 2U) << folder << name;
    for (const auto& name : headers) EXPECT_EQ(files[name], 1U) << folder << name;
  }
}

// The table itself: a wing that another one includes may not include it, at any distance.
TEST(Layout, NoArrowRunsInACircle) {
  std::map<std::string, Names> reached;
  for (const auto& wing : wings()) {
    const auto name = std::filesystem::path(wing.folder).filename().string();
    for (const auto& other : wing.wings) {
      if (other != name) reached[name].insert(other);
    }
  }
  for (std::size_t round = 0; round < reached.size(); ++round) {
    for (auto& [name, others] : reached) {
      for (const auto& other : Names(others))
        others.insert(reached[other].begin(), reached[other].end());
    }
  }
  for (const auto& [name, others] : reached) EXPECT_FALSE(others.contains(name)) << name;
  EXPECT_FALSE(reached["master"].contains("minion") || reached["minion"].contains("master"));
  for (const auto* const role : {"master", "minion"}) {
    EXPECT_FALSE(reached[role].contains("redis") || reached[role].contains("rsync")) << role;
  }
}

// Headers of one folder may include each other in a circle, and the compiler would accept it.
TEST(Layout, NoHeadersIncludeEachOther) {
  std::map<std::string, Names> reached;
  for (const auto& source : product()) {
    if (!source.path.ends_with(".h")) continue;
    const auto name = source.path.substr(source.path.find('/') + 1);
    for (const auto& include : includes_of(source)) {
      if (include.front() == '"') reached[name].insert(include.substr(1, include.size() - 2));
    }
  }
  bool has_grown = true;
  while (has_grown) {
    has_grown = false;
    for (auto& [name, others] : reached) {
      const auto before = others.size();
      for (const auto& other : Names(others)) {
        if (reached.contains(other)) others.insert(reached[other].begin(), reached[other].end());
      }
      has_grown = has_grown || others.size() > before;
    }
  }
  EXPECT_GT(reached.size(), 20U);
  for (const auto& [name, others] : reached) EXPECT_FALSE(others.contains(name)) << name;
}

// The rules can be broken: each of these must be refused.
TEST(Layout, TheTableRefusesWhatItDoesNotAllow) {
  const auto fault = [](const std::string& folder, const std::string& include) {
    for (const auto& wing : wings()) {
      if (wing.folder == folder) return fault_of_include(wing, include);
    }
    return std::string("no such wing");
  };
  EXPECT_NE(fault("src/core", "\"os/files.h\""), "");
  EXPECT_NE(fault("src/core", "<spdlog/spdlog.h>"), "");
  EXPECT_NE(fault("include/libsync/core", "<fmt/format.h>"), "");
  EXPECT_NE(fault("include/libsync/core", "<unistd.h>"), "");
  EXPECT_NE(fault("src/os", "\"libsync/transfer.h\""), "");
  EXPECT_NE(fault("src/store", "\"redis/connection.h\""), "");
  EXPECT_NE(fault("src/redis", "<spdlog/spdlog.h>"), "");
  EXPECT_NE(fault("src/redis", "\"store/spool.h\""), "");
  EXPECT_NE(fault("src/master", "\"minion/pull_plan.h\""), "");
  EXPECT_NE(fault("src/minion", "\"master/plan.h\""), "");
  EXPECT_NE(fault("src/minion", "\"rsync/rsync_transfer.h\""), "");
  EXPECT_NE(fault("src/minion", "<nlohmann/json.hpp>"), "");
  EXPECT_NE(fault("src/minion", "\"ledger.h\""), "");
  EXPECT_EQ(fault("src/minion", "\"minion/ledger.h\""), "");
}

TEST(Layout, TheRuleOfWhatDecidesRefusesWhatItDoesNotAllow) {
  const Names pure = {"ledger", "act"};
  const auto fault = [&](const std::string& include) {
    return fault_of_pure_include("src/minion/", pure, include);
  };
  EXPECT_NE(fault("<spdlog/spdlog.h>"), "");
  EXPECT_NE(fault("<unistd.h>"), "");
  EXPECT_NE(fault("\"libsync/clock.h\""), "");
  EXPECT_NE(fault("\"os/files.h\""), "");
  EXPECT_NE(fault("\"minion/placement.h\""), "");
  EXPECT_NE(fault("\"master/ledger.h\""), "");
  EXPECT_EQ(fault("\"minion/ledger.h\""), "");
  EXPECT_EQ(fault("\"minion/act.h\""), "");
  EXPECT_EQ(fault("\"libsync/core/time.h\""), "");
  EXPECT_EQ(fault("<fmt/format.h>"), "");
}

TEST(Layout, FilesStayShort) {
  for (const auto& source : product()) {
    // A manual page is read by its sections.
    if (source.path.ends_with(".8") || source.path.ends_with(".5")) continue;
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
    // Names in .gitignore are no part of the project.
    if (name.front() != '.' && name != "build" && name != "compile_commands.json") {
      found.insert(name);
    }
  }
  EXPECT_THAT(found, ElementsAre("CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md",
                                 "cron", "include", "rsyncd", "src", "tests"));
}

}  // namespace
}  // namespace libsync
