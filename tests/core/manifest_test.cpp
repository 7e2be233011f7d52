#include "libsync/core/manifest.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace libsync {
namespace {

const std::string kHeader = "libsync-manifest 2\n";

Entry entry(EntryKind kind, std::string name, std::uint64_t size = 0, std::string target = "") {
  return {kind, 0755, {1'545'322'561, 7}, size, 0, 0, {}, std::move(name), std::move(target)};
}

// A payload with all that an entry can hold.
Manifest rich_manifest() {
  auto sparse = entry(EntryKind::file, "big", std::uint64_t{1} << 40U);
  sparse.holes = {{0, 4096}, {8192, 100'000}};
  sparse.mode = 07777;
  sparse.uid = std::numeric_limits<std::uint32_t>::max() - 1;
  sparse.gid = 1000;
  auto old = entry(EntryKind::file, "a \n\t-odd \xff name", 0);
  old.mtime = {std::numeric_limits<std::int64_t>::min(), 999'999'999};
  old.mode = 0;
  return Manifest({entry(EntryKind::folder, ""), old, sparse, entry(EntryKind::folder, "d"),
                   entry(EntryKind::file, "d.txt", 3), entry(EntryKind::folder, "d/e"),
                   entry(EntryKind::file, "d/e/f", 5), entry(EntryKind::link, "d/l", 0, "../ a\n"),
                   entry(EntryKind::link, "z", 0, "/etc/passwd"),
                   entry(EntryKind::folder, "\xff")});
}

// An entry as text. The defaults are right for a file.
std::string line(std::string_view name, std::string_view front = "f 0644 1.000000000 0 0 0 -",
                 std::string_view target = "") {
  return std::string(front) + ' ' + std::string(name) + '\0' + std::string(target) + '\0';
}

std::string folder(std::string_view name) { return line(name, "d 0755 1.000000000 0 0 0 -"); }

std::string link(std::string_view name, std::string_view target) {
  return line(name, "l 0777 1.000000000 0 0 0 -", target);
}

bool is_accepted(const std::string& bytes) {
  const auto decoded = Manifest::decode(bytes);
  if (const auto* const malformed = std::get_if<Malformed>(&decoded)) {
    EXPECT_FALSE(malformed->reason.empty());
    return false;
  }
  EXPECT_EQ(std::get<Manifest>(decoded).encode(), bytes) << "not the only form of what it says";
  return true;
}

TEST(Manifest, ComesBackAsItWas) {
  const auto manifest = rich_manifest();
  const auto decoded = Manifest::decode(manifest.encode());
  ASSERT_TRUE(std::holds_alternative<Manifest>(decoded)) << std::get<Malformed>(decoded).reason;
  EXPECT_EQ(std::get<Manifest>(decoded).entries(), manifest.entries());
  EXPECT_EQ(std::get<Manifest>(decoded).bytes(), (std::uint64_t{1} << 40U) + 8 - 104'096);
}

TEST(Manifest, EncodesAsItsHeaderSays) {
  Entry top{EntryKind::file, 0640, {-3, 42}, 12, 5, 6, {{0, 5}, {8, 4}}, "", ""};
  EXPECT_EQ(Manifest({top}).encode(),
            kHeader + std::string("f 0640 -3.000000042 12 5 6 0+5,8+4 \0\0", 37));
}

TEST(Manifest, AcceptsEdges) {
  const std::string longest_name(255, 'n');
  for (const auto& body : {
           line(""), folder(""), folder("") + line("..."), folder("") + line(".a"),
           folder("") + line(longest_name), folder("") + line(" "), folder("") + line("-"),
           folder("") + folder("a") + line("a.b") + line("a/b"),
           folder("") + link("l", std::string(4095, 't')), folder("") + link("l", "/"),
           folder("") + link("l", "../../x"), line("", "f 0000 0.000000000 4096 0 0 0+4096"),
           line("", "f 7777 -9223372036854775808.999999999 4611686018427387904 4294967294 0 -"),
           folder("") + line("\x7f") +
               line("\x80"),  // The order of bytes, not of signed characters.
       }) {
    EXPECT_TRUE(is_accepted(kHeader + body)) << body;
  }
}

TEST(Manifest, RefusesTextThatEncodeNeverWrites) {
  const std::string deep = folder("") + folder("a") + line("a/b");
  for (const auto& bytes : std::vector<std::string>{
           // Its first line.
           "", "\n", "libsync-manifest 2", "libsync-manifest 1\n" + deep, " " + kHeader + deep,
           "libsync-manifest 2\r\n" + deep, deep, "LIBSYNC-MANIFEST 2\n" + deep, kHeader,
           kHeader + kHeader + deep, kHeader + "\n" + deep, kHeader + deep + "\n",
           kHeader + deep + '\0', kHeader + " " + deep}) {
    EXPECT_FALSE(is_accepted(bytes)) << bytes;
  }
  for (const auto* const front : {"x 0644 1.000000000 0 0 0 -",
                                  "F 0644 1.000000000 0 0 0 -",
                                  "ff 0644 1.000000000 0 0 0 -",
                                  " 0644 1.000000000 0 0 0 -",
                                  "f 644 1.000000000 0 0 0 -",
                                  "f 00644 1.000000000 0 0 0 -",
                                  "f 0648 1.000000000 0 0 0 -",
                                  "f 10000 1.000000000 0 0 0 -",
                                  "f -644 1.000000000 0 0 0 -",
                                  "f  1.000000000 0 0 0 -",
                                  "f 0644 1 0 0 0 -",
                                  "f 0644 1.0 0 0 0 -",
                                  "f 0644 1.0000000000 0 0 0 -",
                                  "f 0644 1.1000000000 0 0 0 -",
                                  "f 0644 .000000000 0 0 0 -",
                                  "f 0644 1. 0 0 0 -",
                                  "f 0644 -0.000000000 0 0 0 -",
                                  "f 0644 +1.000000000 0 0 0 -",
                                  "f 0644 01.000000000 0 0 0 -",
                                  "f 0644 1.-00000001 0 0 0 -",
                                  "f 0644 9223372036854775808.000000000 0 0 0 -",
                                  "f 0644 1.000000000 00 0 0 -",
                                  "f 0644 1.000000000 -1 0 0 -",
                                  "f 0644 1.000000000 0 0 4294967295 -",
                                  "f 0644 1.000000000 0 4294967295 0 -",
                                  "f 0644 1.000000000 +1 0 0 -",
                                  "f 0644 1.000000000 0x1 0 0 -",
                                  "f 0644 1.000000000 1e3 0 0 -",
                                  "f 0644 1.000000000  0 0 -",
                                  "f 0644 1.000000000 18446744073709551616 0 0 -",
                                  "f 0644 1.000000000 4611686018427387905 0 0 -",
                                  "f 0644 1.000000000 0 4294967296 0 -",
                                  "f 0644 1.000000000 0 -1 0 -",
                                  "f 0644 1.000000000 0 0 4294967296 -",
                                  "f 0644 1.000000000 0 0 01 -",
                                  "f 0644 1.000000000 0 0 0 x",
                                  "f 0644 1.000000000 0 0 0 ",
                                  "f 0644 1.000000000 0 0 0 -s",
                                  "f 0644 1.000000000 0 0 0 D",
                                  "f  0644 1.000000000 0 0 0 -",
                                  "f\t0644 1.000000000 0 0 0 -",
                                  "d 0755 1.000000000 1 0 0 -",
                                  "f 0644 1.000000000 0 0 -",
                                  "d 0755 1.000000000 0 0 0 0+1",
                                  "f 0644 1.000000000 0 0 0 0 -"}) {
    EXPECT_FALSE(is_accepted(kHeader + line("", front))) << front;
  }
}

TEST(Manifest, RefusesHostileNamesAndTrees) {
  const std::string top = folder("");
  const std::string huge = "f 0644 1.000000000 4611686018427387904 0 0 -";
  for (const auto& body : std::vector<std::string>{
           // Names.
           top + line("/etc/passwd"), top + line("/"), top + line("."), top + line(".."),
           top + line("../x"), top + folder("a") + line("a/../../x"), top + line("./a"),
           top + folder("a") + line("a/"), top + folder("a") + line("a//b"),
           top + folder("a") + line("a/."), top + folder("a") + line("a/.."),
           top + line(std::string(256, 'n')), top + line(std::string(4096, 'n')), top + line(""),
           // Order.
           top + line("b") + line("a"), top + line("a") + line("a"),
           top + line("\x80") + line("\x7f"), top + folder("a") + line("a/b") + line("a.b"),
           line("a") + top, top + top,
           // Parents.
           line("a"), line("") + line("a"), top + line("a/b"), top + line("a") + line("a/b"),
           top + link("a", "/etc") + line("a/b"), top + folder("a") + line("a/b/c"),
           top + folder("a/b") + folder("a"),
           // The search for a parent meets names that are out of order later.
           top + line("a/x") + line("0") + line("0"), top + line("b/x") + line("a") + line("b"),
           // Links.
           link("", "/etc"), top + link("l", ""), top + link("l", std::string(4096, 't')),
           top + line("a", "f 0644 1.000000000 0 0 0 -", "t"),
           top + line("a", "d 0755 1.000000000 0 0 0 -", "t"),
           top + line("l", "l 0777 1.000000000 5 0 0 -", "t"),
           top + line("l", "l 0777 1.000000000 0 0 0 0+1", "t"),
           // More bytes than any file system holds. The sum must not wrap around either.
           top + line("a", huge) + line("b", "f 0644 1.000000000 1 0 0 -"),
           top + line("a", huge) + line("b", huge) + line("c", huge) + line("d", huge)}) {
    EXPECT_FALSE(is_accepted(kHeader + body)) << body;
  }
}

TEST(Manifest, AcceptsHolesInOrder) {
  for (const std::string holes :
       {"0+100", "0+1", "99+1", "1+1,3+1", "0+1,2+1,4+96", "0+50,51+49"}) {
    EXPECT_TRUE(is_accepted(kHeader + line("", "f 0644 1.000000000 100 0 0 " + holes))) << holes;
  }
}

TEST(Manifest, RefusesOtherHoles) {
  for (const std::string holes : {"0+0",
                                  "0+101",
                                  "100+1",
                                  "99+2",
                                  "1+18446744073709551615",
                                  "18446744073709551615+1",
                                  "3+1,1+1",
                                  "1+2,2+1",
                                  "1+1,2+1",
                                  "1+1,1+1",
                                  "0+1,",
                                  ",0+1",
                                  "0+1,,3+1",
                                  "0+1,-",
                                  "-,0+1",
                                  "0",
                                  "+1",
                                  "0+",
                                  "0-1",
                                  "00+1",
                                  "0+01",
                                  "+0+1",
                                  "0+1+1",
                                  "0+1;3+1",
                                  "0+ 1",
                                  "--"}) {
    EXPECT_FALSE(is_accepted(kHeader + line("", "f 0644 1.000000000 100 0 0 " + holes))) << holes;
  }
}

// One hole in each second byte, so that no two of them touch.
std::vector<Hole> holes_of(std::size_t count) {
  std::vector<Hole> holes;
  for (std::size_t i = 0; i < count; ++i) holes.push_back({2 * i, 1});
  return holes;
}

TEST(Manifest, RefusesMoreHolesThanAnyListingHas) {
  auto one = entry(EntryKind::file, "a", 2 * kMaxHoles + 2);
  one.holes = holes_of(kMaxHoles);
  const auto top = entry(EntryKind::folder, "");
  EXPECT_TRUE(is_accepted(Manifest({top, one}).encode()));
  auto more = one;
  more.holes = holes_of(kMaxHoles + 1);
  EXPECT_FALSE(is_accepted(Manifest({top, more}).encode()));
  auto other = entry(EntryKind::file, "b", 2);
  other.holes = holes_of(1);
  EXPECT_FALSE(is_accepted(Manifest({top, one, other}).encode())) << "together";
}

TEST(Manifest, HolesAreNoBytesOfTheStream) {
  auto file = entry(EntryKind::file, "", 100);
  file.holes = {{0, 10}, {20, 30}};
  EXPECT_EQ(data_begin(file), 10U);
  EXPECT_EQ(data_end(file), 100U);
  EXPECT_EQ(data_bytes(file), 60U);
  file.holes = {{20, 30}, {90, 10}};
  EXPECT_EQ(data_begin(file), 0U);
  EXPECT_EQ(data_end(file), 90U);
  EXPECT_EQ(Manifest({file}).bytes(), 60U);
  EXPECT_TRUE(has_data(file));
  file.holes = {{0, 100}};
  EXPECT_FALSE(has_data(file));
  EXPECT_EQ(data_bytes(file), 0U);
  EXPECT_FALSE(has_data(entry(EntryKind::file, "")));
}

TEST(DropSmallHoles, KeepsTheLargestOfAllFiles) {
  std::vector<Entry> entries{entry(EntryKind::file, "a", 4 * kMaxHoles),
                             entry(EntryKind::file, "b", 1000)};
  entries[0].holes = holes_of(kMaxHoles - 1);
  entries[1].holes = {{0, 5}};
  const auto as_they_were = entries;
  drop_small_holes(entries);
  EXPECT_EQ(entries, as_they_were);
  entries[1].holes = {{0, 5}, {10, 1}, {20, 7}};
  drop_small_holes(entries);
  EXPECT_EQ(entries[0].holes, holes_of(kMaxHoles - 2));
  EXPECT_EQ(entries[1].holes, (std::vector<Hole>{{0, 5}, {20, 7}}));
}

TEST(Manifest, RefusesAnEntryWithoutAllItsFields) {
  const std::string front = "f 0644 1.000000000 0 0 0 -";
  for (std::size_t length = 0; length <= front.size(); ++length) {
    EXPECT_FALSE(is_accepted(kHeader + front.substr(0, length) + '\0' + '\0')) << length;
    EXPECT_FALSE(is_accepted(kHeader + front.substr(0, length) + "\n" + '\0' + '\0')) << length;
  }
}

TEST(Manifest, TruncatedIsAcceptedOnlyAfterAWholeEntry) {
  const auto manifest = rich_manifest();
  const auto bytes = manifest.encode();
  std::size_t accepted = 0;
  for (std::size_t length = 0; length <= bytes.size(); ++length) {
    if (is_accepted(bytes.substr(0, length))) ++accepted;
  }
  EXPECT_EQ(accepted, manifest.entries().size());
}

TEST(Manifest, DamagedIsRefusedOrStillCanonical) {
  const auto whole = rich_manifest().encode();
  std::mt19937 random(20181220);  // NOLINT(cert-msc*): the same damage every time.
  const auto below = [&](std::size_t limit) { return random() % limit; };
  const std::string_view likely("\0 0/.-lfds\n\xff", 12);
  std::size_t accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    auto bytes = whole;
    for (auto left = 1 + below(3); left > 0; --left) {
      const auto at = below(bytes.size());
      const char byte = round % 2 == 0 ? likely[below(likely.size())] : static_cast<char>(random());
      switch (below(4)) {
        case 0:
          bytes[at] = byte;
          break;
        case 1:
          bytes.insert(at, 1, byte);
          break;
        case 2:
          bytes.erase(at, 1);
          break;
        default:
          bytes.insert(below(bytes.size()), bytes.substr(at, below(80)));
      }
    }
    if (is_accepted(bytes)) ++accepted;
  }
  EXPECT_GT(accepted, 0U);  // One digit for another does not damage the form.
  EXPECT_LT(accepted, 20'000U);
}

}  // namespace
}  // namespace libsync
