#include "libsync/core/stream_map.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "libsync/core/pieces.h"

namespace libsync {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Entry file(std::string name, std::uint64_t size, std::vector<Hole> holes = {}) {
  return {EntryKind::file, 0644, {1, 0}, size, 0, 0, std::move(holes), std::move(name), ""};
}

Manifest payload(std::vector<Entry> files) {
  files.insert(files.begin(), {EntryKind::folder, 0755, {1, 0}, 0, 0, 0, {}, "", ""});
  return Manifest(std::move(files));
}

TEST(StreamMap, FilesLieEndToEnd) {
  const StreamMap map(payload({file("a", 10), file("b", 0), file("c", 5)}));
  EXPECT_EQ(map.bytes(), 15U);
  EXPECT_THAT(map.segments(0, 15), ElementsAre(Segment{1, 0, 10}, Segment{3, 0, 5}));
  EXPECT_THAT(map.segments(9, 2), ElementsAre(Segment{1, 9, 1}, Segment{3, 0, 1}));
  EXPECT_THAT(map.segments(10, 1), ElementsAre(Segment{3, 0, 1}));
  EXPECT_THAT(map.segments(3, 4), ElementsAre(Segment{1, 3, 4}));
  EXPECT_THAT(map.segments(10, 0), IsEmpty());
  EXPECT_THAT(map.segments(15, 0), IsEmpty());
}

TEST(StreamMap, HolesAreLeftOut) {
  const StreamMap map(payload({file("a", 100, {{0, 10}, {20, 30}, {90, 10}}),
                               file("b", 50, {{0, 50}}), file("c", 8, {{2, 3}})}));
  EXPECT_EQ(map.bytes(), 10U + 40U + 5U);
  EXPECT_THAT(map.segments(0, 55), ElementsAre(Segment{1, 10, 10}, Segment{1, 50, 40},
                                               Segment{3, 0, 2}, Segment{3, 5, 3}));
  EXPECT_THAT(map.segments(9, 2), ElementsAre(Segment{1, 19, 1}, Segment{1, 50, 1}));
  EXPECT_THAT(map.segments(10, 1), ElementsAre(Segment{1, 50, 1}));
  EXPECT_THAT(map.segments(52, 1), ElementsAre(Segment{3, 5, 1}));
}

TEST(StreamMap, APayloadWithoutBytesHasNoSegments) {
  EXPECT_EQ(StreamMap(payload({})).bytes(), 0U);
  EXPECT_THAT(StreamMap(payload({file("a", 9, {{0, 9}})})).segments(0, 0), IsEmpty());
}

TEST(Layout, ThePiecesOfAPayloadAreItsStream) {
  const Layout layout(payload({file("a", 25, {{5, 10}}), file("b", 4)}), 8);
  EXPECT_EQ(layout.cut(), (Cut{19, 8}));
  EXPECT_THAT(layout.segments(0), ElementsAre(Segment{1, 0, 5}, Segment{1, 15, 3}));
  EXPECT_THAT(layout.segments(1), ElementsAre(Segment{1, 18, 7}, Segment{2, 0, 1}));
  EXPECT_THAT(layout.segments(2), ElementsAre(Segment{2, 1, 3}));
}

}  // namespace
}  // namespace libsync
