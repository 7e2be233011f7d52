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

const std::string kHeader = "libsync-manifest 1\n";

Entry entry(EntryKind kind, std::string name, std::uint64_t size = 0, std::string target = "") {
  return {kind,
          0755,
          {1'545'322'561, 7},
          size,
          0,
          0,
          Density::dense,
          std::move(name),
          std::move(target)};
}

// A payload with all that an entry can hold.
Manifest rich_manifest() {
  auto sparse = entry(EntryKind::file, "big", std::uint64_t{1} << 40U);
  sparse.density = Density::sparse;
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
std::string line(std::string_view name, std::string_view front = "f 0644 1.000000000 0 0 0 d",
                 std::string_view target = "") {
  return std::string(front) + ' ' + std::string(name) + '\0' + std::string(target) + '\0';
}

std::string folder(std::string_view name) { return line(name, "d 0755 1.000000000 0 0 0 d"); }

std::string link(std::string_view name, std::string_view target) {
  return line(name, "l 0777 1.000000000 0 0 0 d", target);
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
  EXPECT_EQ(std::get<Manifest>(decoded).bytes(), (std::uint64_t{1} << 40U) + 8);
}

TEST(Manifest, EncodesAsItsHeaderSays) {
  Entry top{EntryKind::file, 0640, {-3, 42}, 12, 5, 6, Density::sparse, "", ""};
  EXPECT_EQ(Manifest({top}).encode(),
            kHeader + std::string("f 0640 -3.000000042 12 5 6 s \0\0", 31));
}

TEST(Manifest, KnowsWhetherAFileHasHoles) {
  EXPECT_TRUE(rich_manifest().has_sparse_files());
  EXPECT_FALSE(
      Manifest({entry(EntryKind::folder, ""), entry(EntryKind::file, "a", 1)}).has_sparse_files());
}

TEST(Manifest, AcceptsEdges) {
  const std::string longest_name(255, 'n');
  for (const auto& body : {
           line(""), folder(""), folder("") + line("..."), folder("") + line(".a"),
           folder("") + line(longest_name), folder("") + line(" "), folder("") + line("-"),
           folder("") + folder("a") + line("a.b") + line("a/b"),
           folder("") + link("l", std::string(4095, 't')), folder("") + link("l", "/"),
           folder("") + link("l", "../../x"), line("", "f 0000 0.000000000 0 0 0 s"),
           line("", "f 7777 -9223372036854775808.999999999 4611686018427387904 4294967294 0 d"),
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
           "", "\n", "libsync-manifest 1", "libsync-manifest 2\n" + deep, " " + kHeader + deep,
           "libsync-manifest 1\r\n" + deep, deep, "LIBSYNC-MANIFEST 1\n" + deep, kHeader,
           kHeader + kHeader + deep, kHeader + "\n" + deep, kHeader + deep + "\n",
           kHeader + deep + '\0', kHeader + " " + deep}) {
    EXPECT_FALSE(is_accepted(bytes)) << bytes;
  }
  for (const auto* const front : {"x 0644 1.000000000 0 0 0 d",
                                  "F 0644 1.000000000 0 0 0 d",
                                  "ff 0644 1.000000000 0 0 0 d",
                                  " 0644 1.000000000 0 0 0 d",
                                  "f 644 1.000000000 0 0 0 d",
                                  "f 00644 1.000000000 0 0 0 d",
                                  "f 0648 1.000000000 0 0 0 d",
                                  "f 10000 1.000000000 0 0 0 d",
                                  "f -644 1.000000000 0 0 0 d",
                                  "f  1.000000000 0 0 0 d",
                                  "f 0644 1 0 0 0 d",
                                  "f 0644 1.0 0 0 0 d",
                                  "f 0644 1.0000000000 0 0 0 d",
                                  "f 0644 1.1000000000 0 0 0 d",
                                  "f 0644 .000000000 0 0 0 d",
                                  "f 0644 1. 0 0 0 d",
                                  "f 0644 -0.000000000 0 0 0 d",
                                  "f 0644 +1.000000000 0 0 0 d",
                                  "f 0644 01.000000000 0 0 0 d",
                                  "f 0644 1.-00000001 0 0 0 d",
                                  "f 0644 9223372036854775808.000000000 0 0 0 d",
                                  "f 0644 1.000000000 00 0 0 d",
                                  "f 0644 1.000000000 -1 0 0 d",
                                  "f 0644 1.000000000 0 0 4294967295 d",
                                  "f 0644 1.000000000 0 4294967295 0 d",
                                  "f 0644 1.000000000 +1 0 0 d",
                                  "f 0644 1.000000000 0x1 0 0 d",
                                  "f 0644 1.000000000 1e3 0 0 d",
                                  "f 0644 1.000000000  0 0 d",
                                  "f 0644 1.000000000 18446744073709551616 0 0 d",
                                  "f 0644 1.000000000 4611686018427387905 0 0 d",
                                  "f 0644 1.000000000 0 4294967296 0 d",
                                  "f 0644 1.000000000 0 -1 0 d",
                                  "f 0644 1.000000000 0 0 4294967296 d",
                                  "f 0644 1.000000000 0 0 01 d",
                                  "f 0644 1.000000000 0 0 0 x",
                                  "f 0644 1.000000000 0 0 0 ",
                                  "f 0644 1.000000000 0 0 0 ds",
                                  "f 0644 1.000000000 0 0 0 D",
                                  "f  0644 1.000000000 0 0 0 d",
                                  "f\t0644 1.000000000 0 0 0 d",
                                  "d 0755 1.000000000 1 0 0 d",
                                  "f 0644 1.000000000 0 0 d",
                                  "d 0755 1.000000000 0 0 0 s",
                                  "f 0644 1.000000000 0 0 0 0 d"}) {
    EXPECT_FALSE(is_accepted(kHeader + line("", front))) << front;
  }
}

TEST(Manifest, RefusesHostileNamesAndTrees) {
  const std::string top = folder("");
  const std::string huge = "f 0644 1.000000000 4611686018427387904 0 0 d";
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
           top + line("a", "f 0644 1.000000000 0 0 0 d", "t"),
           top + line("a", "d 0755 1.000000000 0 0 0 d", "t"),
           top + line("l", "l 0777 1.000000000 5 0 0 d", "t"),
           top + line("l", "l 0777 1.000000000 0 0 0 s", "t"),
           // More bytes than any file system holds. The sum must not wrap around either.
           top + line("a", huge) + line("b", "f 0644 1.000000000 1 0 0 d"),
           top + line("a", huge) + line("b", huge) + line("c", huge) + line("d", huge)}) {
    EXPECT_FALSE(is_accepted(kHeader + body)) << body;
  }
}

TEST(Manifest, RefusesAnEntryWithoutAllItsFields) {
  const std::string front = "f 0644 1.000000000 0 0 0 d";
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
