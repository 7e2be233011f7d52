// The files that only this host has in a folder which a payload replaces.

#include "minion/only_here.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "temporary_folder.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;

Manifest manifest_of(const std::vector<std::string>& names) {
  std::vector<Entry> entries;
  for (const auto& name : names) {
    Entry entry;
    entry.kind = EntryKind::file;
    entry.name = name;
    entries.push_back(entry);
  }
  return Manifest(entries);
}

TEST(OnlyHere, CountsFilesLinksAndSpecialFilesButNoFolders) {
  const TemporaryFolder folder;
  const auto top = folder.path() / "model";
  for (const auto* const name : {"a", "deep/b", "deep/c", "x/y/z"}) write_file(top / name, "1");
  std::filesystem::create_directory(top / "empty");
  std::filesystem::create_symlink("..", top / "link");
  ASSERT_EQ(mkfifo((top / "fifo").c_str(), 0600), 0);
  const auto found = only_here(top, manifest_of({"", "a", "deep", "deep/c"}), {});
  EXPECT_EQ(found.files, 4U);
  EXPECT_THAT(found.first, ElementsAre("deep/b", "fifo", "link", "x/y/z"));
  EXPECT_EQ(only_here(folder.path() / "none", manifest_of({""}), {}).files, 0U);
}

TEST(OnlyHere, TheWarningNamesTheFirstFiveEscaped) {
  const TemporaryFolder folder;
  for (const auto* const name : {"<script>", "line\nbreak", "\xff", "c", "d", "e", "f"}) {
    write_file(folder.path() / name, "");
  }
  EXPECT_EQ(warning_of(only_here(folder.path(), manifest_of({""}), {}), "model\n7"),
            "the folder 'model\\n7' had 7 files that the new payload does not have, and they go "
            "with it: '<script>', 'c', 'd', 'e', 'f' and 2 more");
  EXPECT_EQ(
      warning_of(only_here(folder.path(), manifest_of({"", "<script>", "c", "d", "e", "f"}), {}),
                 "m"),
      "the folder 'm' had 2 files that the new payload does not have, and they go with it: "
      "'line\\nbreak', '\\xff'");
  EXPECT_EQ(warning_of({}, "m"), "");
}

}  // namespace
}  // namespace libsync::test
