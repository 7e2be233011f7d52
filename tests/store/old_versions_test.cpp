// The payloads of a host that a new one may have bytes of.

#include "store/old_versions.h"

#include <gmock/gmock.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "libsync/core/run_record.h"
#include "os/random.h"
#include "store/receipts.h"
#include "store/replaced.h"
#include "store/state_folder.h"
#include "task_path.h"
#include "temporary_folder.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class OldVersions : public testing::Test {
 protected:
  OldVersions() { publish("model.1"); }

  [[nodiscard]] std::filesystem::path repo() const { return folder_.path(); }

  void publish(const std::string& name) {
    write_file(repo() / name, name);
    Receipts(state_.path()).write(repo() / name, digest_of(name));
  }
  void replace(const std::string& name) {
    const RunRecord record{Role::minion, "sync", random_name<RunId>(), task_path("/srv/" + name),
                           random_name<Fingerprint>()};
    write_file(ReplacedVersions(state_.path()).make_way(name, record), "replaced");
  }
  [[nodiscard]] std::vector<std::string> contents(const std::string& name, BasisRule rule) const {
    std::vector<std::string> found;
    for (const auto& version : old_versions(repo(), name, rule)) {
      found.push_back(version.known.name + ":" + content_of(version.folder / version.file));
    }
    return found;
  }

  TemporaryFolder folder_;
  StateFolder state_{folder_.path()};
};

TEST_F(OldVersions, AreWhatThisHostHasPublishedAndKept) {
  publish("index.1");
  replace("model.0");
  write_file(repo() / "of-another-program", "x");
  std::filesystem::create_directory(repo() / "a-folder");
  EXPECT_THAT(contents("model.2", BasisRule::automatic),
              UnorderedElementsAre("model.1:model.1", "index.1:index.1", "model.0:replaced"));
}

TEST_F(OldVersions, APayloadThatAnotherProgramPutThereIsNoneUnlessItHasTheName) {
  std::filesystem::rename(repo() / "model.1", repo() / "elsewhere");
  write_file(repo() / "model.1", "another's");
  EXPECT_THAT(contents("model.2", BasisRule::automatic), IsEmpty());
  EXPECT_THAT(contents("model.1", BasisRule::automatic), ElementsAre("model.1:another's"));
}

TEST_F(OldVersions, TheRuleLeavesOutOtherNames) {
  replace("model.1");
  replace("model.0");
  EXPECT_THAT(contents("model.1", BasisRule::same_name),
              ElementsAre("model.1:model.1", "model.1:replaced"));
  EXPECT_THAT(contents("model.2", BasisRule::same_name), IsEmpty());
  EXPECT_THAT(contents("model.1", BasisRule::none), IsEmpty());
}

TEST_F(OldVersions, ThePublishedOneComesBeforeTheOneThatItReplaced) {
  replace("model.1");
  std::vector<OldName> names;
  const auto versions = old_versions(repo(), "model.1", BasisRule::automatic);
  for (const auto& version : versions) names.push_back(version.known);
  const auto chosen = choose_basis("model.1", EntryKind::file, names);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(versions[*chosen].folder, repo());
}

TEST_F(OldVersions, OfTwoThatWerePublishedInOneSecondTheLaterOneCounts) {
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // A file system counts in less.
  publish("model.0");
  std::map<std::string, std::int64_t> published;
  for (const auto& version : old_versions(repo(), "model.2", BasisRule::automatic)) {
    published.emplace(version.known.name, version.known.published);
  }
  EXPECT_GT(published.at("model.0"), published.at("model.1"));
}

TEST_F(OldVersions, ASymlinkIsNone) {
  std::filesystem::create_symlink(repo() / "model.1", repo() / "model.3");
  Receipts(state_.path()).write(repo() / "model.3", digest_of("x"));
  EXPECT_THAT(contents("model.3", BasisRule::automatic), ElementsAre("model.1:model.1"));
}

}  // namespace
}  // namespace libsync::test
