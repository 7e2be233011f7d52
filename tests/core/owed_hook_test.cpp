#include "libsync/core/owed_hook.h"

#include <gtest/gtest.h>

#include <string>

namespace libsync {
namespace {

TEST(OwedHook, SurvivesItsText) {
  const OwedHook owed{digest_of("manifest"), "model 7"};
  EXPECT_EQ(encode(owed), digest_of("manifest").hex() + "model 7");
  EXPECT_EQ(decode_owed_hook(encode(owed)), owed);
}

TEST(OwedHook, IsNotReadFromAnythingElse) {
  const auto hex = digest_of("manifest").hex();
  for (const auto& text : {std::string(), hex, hex.substr(1) + "name", hex + "../name", hex + "a/b",
                           hex + ".libsync", hex + "..", hex + "name\n"}) {
    EXPECT_FALSE(decode_owed_hook(text)) << text;
  }
}

}  // namespace
}  // namespace libsync
