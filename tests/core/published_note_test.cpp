#include "libsync/core/published_note.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "task_path.h"

namespace libsync {
namespace {

using namespace std::chrono_literals;

PublishedNote note() {
  return {
      .run = RunId::parse(std::string(32, 'a')).value(),
      .task = test::task_path("/data1/model 7"),
      .manifest = digest_of("manifest"),
      .bytes = 1000,
      .pieces = 10,
      .wire_bytes = 700,
      .took = 1500ms,
      .fed_by = {{Address::parse("10.0.0.1").value(), 3}, {Address::parse("fd00::1").value(), 4}}};
}

TEST(PublishedNote, SurvivesItsText) { EXPECT_EQ(decode_published_note(encode(note())), note()); }

TEST(PublishedNote, IsNotReadFromAnythingElse) {
  const auto text = encode(note());
  EXPECT_FALSE(decode_published_note(""));
  EXPECT_FALSE(decode_published_note(text + "x"));
  EXPECT_FALSE(decode_published_note(text + "from 10.0.0.1\n"));
  EXPECT_FALSE(decode_published_note(text + "from <script> 1\n"));
  EXPECT_FALSE(decode_published_note(text + "from 10.0.0.1 -1\n"));
  // Without any of its first seven lines there is no note.
  for (const auto* const key :
       {"run ", "task ", "manifest ", "bytes ", "pieces ", "wire ", "took "}) {
    auto without = text;
    const auto at = without.find(key);
    without.erase(at, without.find('\n', at) + 1 - at);
    EXPECT_FALSE(decode_published_note(without)) << key;
  }
}

}  // namespace
}  // namespace libsync
