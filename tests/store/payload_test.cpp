#include "store/payload.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <set>

#include "libsync/core/failure.h"
#include "ordinary_user.h"
#include "os/descriptor.h"
#include "os/files.h"
#include "temporary_folder.h"

namespace libsync {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PayloadTest : public testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path path(const std::string& name) const {
    return folder_.path() / name;
  }
  [[nodiscard]] std::variant<Payload, Refusal> list(const std::string& name = "top") const {
    return list_payload(locate(folder_.path(), name));
  }
  [[nodiscard]] Payload listed(const std::string& name = "top") const {
    return std::get<Payload>(list(name));
  }
  [[nodiscard]] std::string refusal(const std::string& name = "top") const {
    const auto result = list(name);
    const auto* const refused = std::get_if<Refusal>(&result);
    return refused == nullptr ? "carried" : refused->reason;
  }

  test::TemporaryFolder folder_;
};

std::vector<std::string> names_of(const Payload& payload) {
  std::vector<std::string> all;
  for (const auto& entry : payload.manifest.entries()) all.push_back(entry.name);
  return all;
}

TEST_F(PayloadTest, ListsAFileAsTheOneEntry) {
  test::write_file(path("top"), "12345");
  std::filesystem::permissions(path("top"), std::filesystem::perms(04751));
  const timespec times[] = {{1, 1}, {1'600'000'000, 123'456'789}};
  ASSERT_EQ(utimensat(AT_FDCWD, path("top").c_str(), times, 0), 0);
  const auto payload = listed();
  ASSERT_EQ(payload.manifest.entries().size(), 1U);
  const auto& top = payload.manifest.top();
  EXPECT_EQ(top.kind, EntryKind::file);
  EXPECT_EQ(top.name, "");
  EXPECT_EQ(top.mode, 04751U);
  EXPECT_EQ(top.size, 5U);
  EXPECT_EQ(top.mtime, (FileTime{1'600'000'000, 123'456'789}));
  EXPECT_EQ(top.uid, geteuid());
  EXPECT_EQ(top.gid, getegid());
  EXPECT_TRUE(top.holes.empty());
  ASSERT_EQ(payload.stamps.size(), 1U);
  EXPECT_EQ(payload.stamps[0], stamp_of(open_entry(locate(folder_.path(), "top"), top)));
}

TEST_F(PayloadTest, ListsFilesFoldersAndLinksInByteOrderOfTheirNames) {
  // `-` and `.` sort before `/`, because whole names are compared.
  for (const auto* const name : {"top/b/x", "top/b-", "top/b.c", "top/a", "top/\xff\n", "top/B"}) {
    test::write_file(path(name), name);
  }
  std::filesystem::create_directory(path("top/empty"));
  std::filesystem::create_symlink("../outside", path("top/link"));
  const auto payload = listed();
  EXPECT_THAT(names_of(payload),
              ElementsAre("", "B", "a", "b", "b-", "b.c", "b/x", "empty", "link", "\xff\n"));
  const auto& entries = payload.manifest.entries();
  EXPECT_EQ(entries[0].kind, EntryKind::folder);
  EXPECT_EQ(entries[0].size, 0U);
  EXPECT_EQ(entries[7].kind, EntryKind::folder);
  EXPECT_EQ(entries[8].kind, EntryKind::link);
  EXPECT_EQ(entries[8].target, "../outside");
  EXPECT_EQ(entries[8].size, 0U);
  EXPECT_EQ(payload.stamps.size(), entries.size());
  // A listed payload can be announced: decode() accepts only the prescribed form.
  const auto decoded = Manifest::decode(payload.manifest.encode());
  ASSERT_TRUE(std::holds_alternative<Manifest>(decoded));
  EXPECT_EQ(std::get<Manifest>(decoded).entries(), entries);
}

TEST_F(PayloadTest, CountsHardLinkedFiles) {
  test::write_file(path("top/one"), "x");
  std::filesystem::create_hard_link(path("top/one"), path("top/two"));
  test::write_file(path("top/alone"), "x");
  EXPECT_EQ(listed().hard_linked_files, 2U);
}

TEST_F(PayloadTest, ListsTheHolesOfSparseFiles) {
  constexpr std::size_t kBlock = std::size_t{64} << 10U;
  const auto bytes = test::random_bytes(kBlock, 1);
  const auto sparse = open_file(path("top"), O_RDWR | O_CREAT, 0600);
  ASSERT_EQ(ftruncate(sparse.number(), 10 * kBlock + 5), 0);
  EXPECT_THAT(listed().manifest.top().holes, ElementsAre(Hole{0, 10 * kBlock + 5}));
  for (const auto block : {1, 2, 5}) {
    ASSERT_EQ(pwrite(sparse.number(), bytes.data(), kBlock, block * static_cast<off_t>(kBlock)),
              static_cast<ssize_t>(kBlock));
  }
  const auto top = listed().manifest.top();
  EXPECT_THAT(top.holes, ElementsAre(Hole{0, kBlock}, Hole{3 * kBlock, 2 * kBlock},
                                     Hole{6 * kBlock, 4 * kBlock + 5}));
  EXPECT_EQ(data_bytes(top), 3 * kBlock);
}

// No minion could make their paths, and every one would fail after it has pulled all pieces.
TEST_F(PayloadTest, RefusesPathsThatAreTooLongForAMinion) {
  const std::string level(200, 'n');
  std::filesystem::create_directory(path("top"));
  auto folder = open_file(path("top"), O_RDONLY | O_DIRECTORY);
  std::size_t bytes = 0;
  const auto go_down = [&] {
    ASSERT_EQ(mkdirat(folder.number(), level.c_str(), 0700), 0);
    folder = Descriptor(openat(folder.number(), level.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(folder);
    bytes += level.size() + 1;
  };
  while (bytes + level.size() <= kLongestEntryName) go_down();
  EXPECT_EQ(refusal(), "carried");
  go_down();
  EXPECT_THAT(refusal(), HasSubstr("has more than 3072 bytes below the payload's top"));
  EXPECT_THAT(refusal(), HasSubstr("shorten the names of its folders"));
}

// A task is dropped only for what is wrong with the task.
TEST_F(PayloadTest, IsNotRefusedForWhatIsWrongWithThisProcessOrItsDisk) {
  test::write_file(path("top/file"), "x");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const auto location = locate(folder_.path(), "top");
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  std::string why;
  try {
    static_cast<void>(list_payload(location));
  } catch (const Failure& failure) {
    why = failure.what();
  }
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_THAT(why, HasSubstr("Too many open files: raise the limit of open files"));
  for (const int error : {EIO, ESTALE, EMFILE, ENFILE, ENOMEM, ETIMEDOUT}) {
    EXPECT_FALSE(is_fault_of_task(error)) << error;
  }
  for (const int error : {ENOENT, ENOTDIR, ELOOP, EACCES, EPERM}) {
    EXPECT_TRUE(is_fault_of_task(error)) << error;
  }
}

TEST_F(PayloadTest, RefusesASpecialFileByItsName) {
  std::filesystem::create_directories(path("top/inner"));
  ASSERT_EQ(mkfifo(path("top/inner/fifo").c_str(), 0600), 0);
  EXPECT_THAT(refusal(), HasSubstr(path("top/inner/fifo").string() + "' is a FIFO"));
  std::filesystem::remove(path("top/inner/fifo"));
  const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path("top/s").string().copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(refusal(), HasSubstr(path("top/s").string() + "' is a socket"));
  std::filesystem::remove(path("top/s"));
  EXPECT_EQ(refusal(), "carried");
}

TEST_F(PayloadTest, RefusesASymlinkAsThePayloadAndAMissingPath) {
  test::write_file(path("file"), "x");
  std::filesystem::create_symlink("file", path("top"));
  EXPECT_THAT(refusal(), HasSubstr("is a symlink"));
  EXPECT_THAT(refusal("missing"), HasSubstr("No such file or directory"));
}

TEST_F(PayloadTest, RefusesAnEntryThatThisUserCannotRead) {
  test::write_file(path("top/closed"), "x");
  std::filesystem::create_directory(path("top/folder"));
  std::filesystem::permissions(path("top/closed"), std::filesystem::perms(0));
  std::filesystem::permissions(path("top/folder"), std::filesystem::perms(0));
  const auto is_refused = [this](const std::string& name) {
    return test::holds_for_ordinary_user([&] {
      return refusal().find(path(name).string() + "' cannot be read: Permission denied") !=
             std::string::npos;
    });
  };
  EXPECT_TRUE(is_refused("top/closed"));
  std::filesystem::permissions(path("top/closed"), std::filesystem::perms(0644));
  EXPECT_TRUE(is_refused("top/folder"));
  std::filesystem::permissions(path("top/folder"), std::filesystem::perms(0755));
  EXPECT_TRUE(test::holds_for_ordinary_user([this] { return refusal() == "carried"; }));
}

TEST_F(PayloadTest, StampShowsAChangeEvenIfTheTimeIsSetBack) {
  test::write_file(path("top"), "12345");
  const auto before = listed();
  EXPECT_EQ(listed().stamps, before.stamps);
  struct stat status {};
  ASSERT_EQ(stat(path("top").c_str(), &status), 0);
  // Wait until the clock that sets the ctime has advanced.
  const auto has_changed = [&] {
    test::write_file(path("top"), "54321");
    const timespec times[] = {status.st_atim, status.st_mtim};
    EXPECT_EQ(utimensat(AT_FDCWD, path("top").c_str(), times, 0), 0);
    return listed().stamps != before.stamps;
  };
  bool seen = false;
  for (int i = 0; i < 100'000 && !seen; ++i) seen = has_changed();
  EXPECT_TRUE(seen);
  EXPECT_EQ(listed().manifest.entries(), before.manifest.entries());
}

// A payload with every kind of entry, and a way to change each property.
struct Change {
  const char* what;
  std::function<void(std::vector<Entry>&)> make;
};

std::vector<Entry> sample() {
  return {{EntryKind::folder, 0755, {5, 6}, 0, 7, 8, {}, "", ""},
          {EntryKind::file, 0644, {5, 6}, 100, 7, 8, {}, "file", ""},
          {EntryKind::link, 0777, {5, 6}, 0, 7, 8, {}, "link", "file"}};
}

TEST(Fingerprint, ChangesWithEveryPublishedProperty) {
  const std::vector<Change> changes = {
      {"kind", [](auto& all) { all[1].kind = EntryKind::folder; }},
      {"mode", [](auto& all) { all[1].mode = 0640; }},
      {"seconds", [](auto& all) { ++all[1].mtime.seconds; }},
      {"nanoseconds", [](auto& all) { ++all[1].mtime.nanoseconds; }},
      {"size", [](auto& all) { ++all[1].size; }},
      {"name", [](auto& all) { all[1].name = "fild"; }},
      {"target", [](auto& all) { all[2].target = "File"; }},
      {"border of name and target",
       [](auto& all) { all[2].name = "lin", all[2].target = "kfile"; }},
      {"one entry less", [](auto& all) { all.pop_back(); }},
      {"the top", [](auto& all) { all[0].mode = 0750; }}};
  const auto task = std::get<TaskPath>(TaskPath::parse("/srv/data"));
  std::set<std::string> seen{fingerprint_of(task, Manifest(sample()), 10).text()};
  for (const auto& [what, make] : changes) {
    auto entries = sample();
    make(entries);
    EXPECT_TRUE(seen.insert(fingerprint_of(task, Manifest(entries), 10).text()).second) << what;
  }
  EXPECT_TRUE(seen.insert(fingerprint_of(task, Manifest(sample()), 11).text()).second);
  EXPECT_TRUE(seen.insert(fingerprint_of(task, Manifest(sample()), 0).text()).second);
  const auto other = std::get<TaskPath>(TaskPath::parse("/srv/date"));
  EXPECT_TRUE(seen.insert(fingerprint_of(other, Manifest(sample()), 10).text()).second);
}

TEST(Fingerprint, IgnoresOwners) {
  const auto task = std::get<TaskPath>(TaskPath::parse("/srv/data"));
  auto entries = sample();
  entries[1].uid = 1000;
  entries[1].gid = 1000;
  EXPECT_EQ(fingerprint_of(task, Manifest(entries), 10),
            fingerprint_of(task, Manifest(sample()), 10));
}

// Holes change the pieces and not the contents.
TEST(Fingerprint, HolesCountForTheCutAlone) {
  const auto task = std::get<TaskPath>(TaskPath::parse("/srv/data"));
  auto entries = sample();
  entries[1].holes = {{0, 50}};
  const Manifest sparse(entries);
  const Manifest dense(sample());
  EXPECT_NE(fingerprint_of(task, sparse, 10), fingerprint_of(task, dense, 10));
  EXPECT_EQ(fingerprint_of(task, sparse, 0), fingerprint_of(task, dense, 0));
}

}  // namespace
}  // namespace libsync
