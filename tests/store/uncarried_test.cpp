#include "store/uncarried.h"

#include <gtest/gtest.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "temporary_folder.h"

namespace libsync {
namespace {

// Entries of an ACL as the kernel stores them: tag, rights, id. User 1234 may read.
const std::string kAcl(
    "\x02\0\0\0"
    "\x01\0\x06\0\xff\xff\xff\xff"
    "\x02\0\x04\0\xd2\x04\0\0"
    "\x04\0\x04\0\xff\xff\xff\xff"
    "\x10\0\x04\0\xff\xff\xff\xff"
    "\x20\0\x04\0\xff\xff\xff\xff",
    44);
// Version 2, CAP_NET_BIND_SERVICE.
const std::string kCapability("\0\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);

class UncarriedTest : public testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path path(const std::string& name) const {
    return folder_.path() / "payload" / name;
  }
  void set(const std::string& name, const char* attribute, const std::string& value) const {
    ASSERT_EQ(lsetxattr(path(name).c_str(), attribute, value.data(), value.size(), 0), 0) << name;
  }
  [[nodiscard]] Uncarried found() const {
    const auto location = locate(folder_.path(), "payload");
    const auto listed = list_payload(location);
    return uncarried_of(location, std::get<Payload>(listed).manifest);
  }

  test::TemporaryFolder folder_;
};

TEST_F(UncarriedTest, NothingOfAPlainPayloadIsLost) {
  test::write_file(path("sub/file"), "x");
  std::filesystem::create_symlink("sub", path("link"));
  const auto none = found();
  EXPECT_EQ(none.acls + none.capabilities + none.others, 0U);
  EXPECT_EQ(none.first, "");
}

TEST_F(UncarriedTest, CountsWhatIsLostAndNamesTheFirst) {
  for (const auto* const name : {"a", "b", "c", "sub/d", "sub/e"}) {
    test::write_file(path(name), "x");
  }
  set("b", "system.posix_acl_access", kAcl);
  set("b", "user.origin", "here");
  set("sub", "system.posix_acl_default", kAcl);
  set("sub/d", "user.origin", "here");
  set("sub/e", "user.long", std::string(1000, 'x'));
  const bool is_root = geteuid() == 0;
  if (is_root) set("c", "security.capability", kCapability);
  const auto lost = found();
  EXPECT_EQ(lost.acls, 2U);
  EXPECT_EQ(lost.capabilities, is_root ? 1U : 0U);
  EXPECT_EQ(lost.others, 3U);
  EXPECT_EQ(lost.first, "b");
}

TEST_F(UncarriedTest, ManyNamesCountAsAttributes) {
  test::write_file(path("a"), "x");
  // The names alone have more bytes than are read; their values fit into the inode's block.
  for (int i = 0; i < 25; ++i) {
    const auto name = "user." + std::string(100, 'n') + std::to_string(i);
    if (lsetxattr(path("a").c_str(), name.c_str(), "", 0, 0) != 0) break;
  }
  EXPECT_EQ(found().others, 1U);
}

}  // namespace
}  // namespace libsync
