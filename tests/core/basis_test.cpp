// Which old payload is most like a new one.

#include "libsync/core/basis.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace libsync::test {
namespace {

struct Pair {
  std::string one;
  std::string other;
  bool is_alike;  // 100: they differ in numbers alone.
};

class Similarity : public testing::TestWithParam<Pair> {};

TEST_P(Similarity, LeavesNumbersDatesAndDigestsOut) {
  const auto& [one, other, is_alike] = GetParam();
  EXPECT_EQ(similarity(one, other) == 100, is_alike) << similarity(one, other);
  EXPECT_EQ(similarity(one, other), similarity(other, one));
}

INSTANTIATE_TEST_SUITE_P(
    Of, Similarity,
    testing::Values(Pair{"model.20181220011501", "model.20181219233000", true},
                    Pair{"model.20181220011501", "index.20181220011501", false},
                    Pair{"app-1.2.3.tar", "app-1.2.4.tar", true},
                    Pair{"app-1.2.3.tar", "app-1.3.tar", true},
                    Pair{"app-1.2.3.tar", "app-1.2.3.zip", false}, Pair{"app-v2", "app-v10", true},
                    Pair{"app-2024-01-31", "app-2024-02-01", true},
                    Pair{"build-9f3c2a1b", "build-0011aab", true},
                    Pair{"build-deadbeef", "build-cafecafe", false},
                    Pair{"release-1.2rc1", "release-1.2", false},
                    Pair{"20181220", "20181221", true}, Pair{"", "", true}, Pair{"a", "", false},
                    Pair{"name", "name", true}, Pair{"data", "data.1", false}));

OldName file(const std::string& name, std::int64_t published = 0) {
  return {name, EntryKind::file, published};
}
OldName folder(const std::string& name, std::int64_t published = 0) {
  return {name, EntryKind::folder, published};
}

std::string chosen(const std::string& name, EntryKind kind, const std::vector<OldName>& old) {
  const auto index = choose_basis(name, kind, old);
  return index ? old[*index].name + "@" + std::to_string(old[*index].published) : "none";
}

TEST(Basis, TheSameNameComesFirst) {
  EXPECT_EQ(chosen("m.3", EntryKind::file, {file("m.2", 9), file("m.3", 1), file("m.4", 8)}),
            "m.3@1");
}

TEST(Basis, OfOneFamilyTheLastOneIsUsed) {
  EXPECT_EQ(chosen("m.4", EntryKind::file, {file("m.1", 1), file("m.3", 3), file("m.2", 2)}),
            "m.3@3");
}

TEST(Basis, EachFamilyOfARepoHasItsOwn) {
  const std::vector<OldName> repo{file("model.1", 1), file("index.1", 7), file("vocabulary.1", 9)};
  EXPECT_EQ(chosen("model.2", EntryKind::file, repo), "model.1@1");
  EXPECT_EQ(chosen("index.2", EntryKind::file, repo), "index.1@7");
  EXPECT_EQ(chosen("weights.2", EntryKind::file, repo), "none");
}

TEST(Basis, AFileIsNoBasisOfAFolder) {
  EXPECT_EQ(chosen("m.2", EntryKind::folder, {file("m.1", 5), folder("m.0", 1)}), "m.0@1");
  EXPECT_EQ(chosen("m.2", EntryKind::file, {folder("m.1")}), "none");
  EXPECT_EQ(chosen("m.2", EntryKind::file, {folder("m.2"), file("m.1")}), "m.1@0");
}

TEST(Basis, ANameThatIsMerelyAlikeIsBetterThanNone) {
  EXPECT_EQ(chosen("release-1.2", EntryKind::folder, {folder("release-1.2rc1")}),
            "release-1.2rc1@0");
  EXPECT_EQ(chosen("release-1.2", EntryKind::folder,
                   {folder("release-1.2rc1", 9), folder("release-1.1", 1)}),
            "release-1.1@1");
}

TEST(Basis, ANameThatIsHalfAlikeIsAnotherFamily) {
  EXPECT_EQ(similarity("release-2", "relay-1"), 55U);
  EXPECT_EQ(chosen("release-2", EntryKind::file, {file("relay-1")}), "none");
}

TEST(Basis, WithoutOldPayloadsThereIsNone) {
  EXPECT_EQ(choose_basis("m", EntryKind::file, {}), std::nullopt);
}

TEST(KinshipOf, ATenthThatWasNotPulledIsAlike) {
  EXPECT_EQ(kinship_of(0, 1000), Kinship::alike);
  EXPECT_EQ(kinship_of(899, 1000), Kinship::alike);
  EXPECT_EQ(kinship_of(900, 1000), Kinship::unlike);
  EXPECT_EQ(kinship_of(1002, 1000), Kinship::unlike);
  EXPECT_EQ(kinship_of(0, 0), Kinship::unlike);
}

}  // namespace
}  // namespace libsync::test
