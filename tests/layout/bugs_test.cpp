// The patches of ./tests/bugs, which plants each of them, still apply to the sources.

#include <gtest/gtest.h>

#include <filesystem>

#include "test_process.h"

namespace libsync {
namespace {

TEST(Bugs, EachPatchApplies) {
  const std::filesystem::path top(SOURCE_FOLDER);
  std::size_t patches = 0;
  for (const auto& file : std::filesystem::directory_iterator(top / "tests/simulation/bugs")) {
    const auto ran = test::run({"git", "-c", "safe.directory=*", "-C", top.string(), "apply",
                                "--check", "-p0", file.path().string()});
    EXPECT_EQ(ran.status, 0) << ran.errors;
    ++patches;
  }
  EXPECT_GE(patches, 15U);
}

}  // namespace
}  // namespace libsync
