#include "libsync/core/pieces.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace libsync {
namespace {

struct CutRow {
  Cut cut;
  PieceNumber pieces;
  std::uint64_t bytes_of_last;
};

TEST(Cut, HasEqualPiecesAndAShorterLastOne) {
  constexpr std::uint64_t kTera = std::uint64_t{1} << 40U;
  for (const auto& [cut, pieces, bytes_of_last] :
       std::vector<CutRow>{{{0, 1}, 1, 0},
                           {{0, 1024}, 1, 0},
                           {{1, 1}, 1, 1},
                           {{1, 1024}, 1, 1},
                           {{1023, 1024}, 1, 1023},
                           {{1024, 1024}, 1, 1024},
                           {{1025, 1024}, 2, 1},
                           {{2048, 1024}, 2, 1024},
                           {{10, 3}, 4, 1},
                           {{kTera, kTera / 4096}, 4096, kTera / 4096},
                           {{kTera - 1, kTera / 4096}, 4096, kTera / 4096 - 1},
                           {{kTera, kTera}, 1, kTera}}) {
    EXPECT_EQ(cut.pieces(), pieces) << cut.stream_bytes;
    EXPECT_EQ(cut.bytes_of(pieces - 1), bytes_of_last) << cut.stream_bytes;
    EXPECT_EQ(cut.offset_of(pieces - 1) + bytes_of_last, cut.stream_bytes);
    for (PieceNumber piece = 0; piece + 1 < pieces; ++piece) {
      ASSERT_EQ(cut.bytes_of(piece), cut.piece_bytes);
      ASSERT_EQ(cut.offset_of(piece), std::uint64_t{piece} * cut.piece_bytes);
    }
  }
}

// Only rules that hold for all tuned figures.
TEST(ChoosePieceBytes, IsAPowerOfTwoThatKeepsToTheMostPieces) {
  std::vector<std::uint64_t> sizes = {0};
  for (unsigned bit = 0; bit <= 40; ++bit) {
    const auto size = std::uint64_t{1} << bit;
    for (const auto near : {size - 1, size, size + 1, size + size / 3}) {
      if (near <= std::uint64_t{1} << 40U) sizes.push_back(near);
    }
  }
  for (const auto size : sizes) {
    for (const std::size_t hosts : {0U, 1U, 2U, 3U, 8U, 15U, 64U, 100U, 1000U, 10'000U}) {
      const auto bytes = choose_piece_bytes(size, hosts);
      EXPECT_TRUE(std::has_single_bit(bytes)) << size << " " << hosts;
      EXPECT_LE((Cut{size, bytes}.pieces()), kMaxPieces) << size << " " << hosts;
      EXPECT_EQ(choose_piece_bytes(size, hosts), bytes);
    }
  }
}

TEST(ChoosePieceBytes, IsCoarserForAHandfulOfHostsAndNotForAnUnknownNumber) {
  const auto size = std::uint64_t{4} << 30U;
  for (const std::size_t hosts : {1U, 8U}) {
    EXPECT_EQ((Cut{size, choose_piece_bytes(size, hosts)}.pieces()), 128U) << hosts;
    EXPECT_EQ((Cut{size / 4, choose_piece_bytes(size / 4, hosts)}.pieces()), 128U) << hosts;
  }
  for (const std::size_t hosts : {0U, 9U, 195U, 10'000U}) {
    EXPECT_EQ((Cut{size, choose_piece_bytes(size, hosts)}.pieces()), 512U) << hosts;
  }
}

TEST(ChoosePieceBytes, OfASmallPayloadIsTheSmallest) {
  for (const std::uint64_t bytes : {0ULL, 1000ULL, 20'000'000ULL, 50'000'000ULL}) {
    for (const std::size_t hosts : {0U, 8U, 9U}) {
      EXPECT_EQ(choose_piece_bytes(bytes, hosts), std::uint64_t{256} << 10U) << bytes;
    }
  }
}

TEST(PieceSet, KeepsItsMembersInTheBitmapOfRedis) {
  PieceSet set(10);
  EXPECT_EQ(set.bitmap(), std::string(2, '\0'));
  for (const PieceNumber piece : {0U, 7U, 8U, 9U, 7U}) set.insert(piece);
  EXPECT_EQ(set.bitmap(), "\x81\x03");
  EXPECT_EQ(set.size(), 4U);
  EXPECT_EQ(set.members(), (std::vector<PieceNumber>{0, 7, 8, 9}));
  EXPECT_TRUE(set.contains(7));
  EXPECT_FALSE(set.contains(1));
  EXPECT_FALSE(set.contains(10));
  EXPECT_FALSE(set.contains(1'000'000));
  set.erase(7);
  set.erase(7);
  set.erase(1);
  EXPECT_EQ(set.members(), (std::vector<PieceNumber>{0, 8, 9}));
  EXPECT_EQ(set.bitmap(), std::string("\x01\x03"));
}

TEST(PieceSet, IsCompleteWithItsLastPiece) {
  for (const PieceNumber pieces : {1U, 7U, 8U, 9U, 16U, 4096U}) {
    PieceSet set(pieces);
    for (PieceNumber piece = 0; piece < pieces; ++piece) {
      EXPECT_FALSE(set.is_complete());
      set.insert(piece);
    }
    EXPECT_TRUE(set.is_complete()) << pieces;
    EXPECT_EQ(set.size(), pieces);
    EXPECT_EQ(set.members().size(), pieces);
    EXPECT_EQ(PieceSet::from_bitmap(pieces, set.bitmap()), set);
  }
}

struct BitmapRow {
  PieceNumber pieces;
  std::string bitmap;
  bool is_one;
};

TEST(PieceSet, IsReadFromExactlyItsBytes) {
  for (const auto& [pieces, bitmap, is_one] :
       std::vector<BitmapRow>{{1, std::string(1, '\0'), true},
                              {1, "\x01", true},
                              {7, "\x7f", true},
                              {8, "\xff", true},
                              {9, "\xff\x01", true},
                              {16, "\xff\xff", true},
                              {4096, std::string(512, '\xff'), true},
                              {1, "", false},
                              {1, "\x02", false},
                              {1, "\x03", false},
                              {1, "\x80", false},
                              {7, "\x80", false},
                              {8, "", false},
                              {8, std::string("\xff\0", 2), false},
                              {9, "\xff", false},
                              {9, "\x01\x02", false},
                              {9, "\x01\xff", false},
                              {9, std::string("\xff\x01\0", 3), false},
                              {4096, std::string(511, '\0'), false},
                              {4096, std::string(513, '\0'), false}}) {
    const auto set = PieceSet::from_bitmap(pieces, bitmap);
    EXPECT_EQ(set.has_value(), is_one) << pieces;
    EXPECT_EQ(set ? set->bitmap() : bitmap, bitmap);
  }
}

TEST(PieceSet, UnitesWithAnother) {
  std::mt19937 random(7);  // NOLINT(cert-msc*): the same sets every time.
  for (PieceNumber pieces = 1; pieces < 70; ++pieces) {
    PieceSet left(pieces);
    PieceSet right(pieces);
    std::vector<PieceNumber> either;
    for (PieceNumber piece = 0; piece < pieces; ++piece) {
      const auto where = random() % 4;
      if ((where & 1U) != 0) left.insert(piece);
      if ((where & 2U) != 0) right.insert(piece);
      if (where != 0) either.push_back(piece);
    }
    const auto before = right;
    left |= right;
    EXPECT_EQ(left.members(), either);
    EXPECT_EQ(right, before);
    EXPECT_EQ(left.size(), either.size());
  }
}

// Every byte of the stream, as its entry and its offset there.
using ByteMap = std::vector<std::pair<std::size_t, std::uint64_t>>;

ByteMap bytes_of(const Manifest& manifest) {
  ByteMap map;
  for (std::size_t i = 0; i < manifest.entries().size(); ++i) {
    for (std::uint64_t offset = 0; offset < manifest.entries()[i].size; ++offset) {
      map.emplace_back(i, offset);
    }
  }
  return map;
}

void expect_layout_covers(const Manifest& manifest, std::uint64_t piece_bytes) {
  const Layout layout(manifest, piece_bytes);
  const auto expected = bytes_of(manifest);
  EXPECT_EQ(layout.cut(), (Cut{expected.size(), piece_bytes}));
  ByteMap covered;
  for (PieceNumber piece = 0; piece < layout.cut().pieces(); ++piece) {
    std::uint64_t bytes = 0;
    std::size_t last = manifest.entries().size();
    for (const auto& segment : layout.segments(piece)) {
      EXPECT_GT(segment.bytes, 0U);
      EXPECT_NE(segment.entry, last) << "two segments where one would do";
      last = segment.entry;
      bytes += segment.bytes;
      for (std::uint64_t i = 0; i < segment.bytes; ++i) {
        covered.emplace_back(segment.entry, segment.offset + i);
      }
    }
    EXPECT_EQ(bytes, layout.cut().bytes_of(piece));
  }
  EXPECT_EQ(covered, expected) << "pieces of " << piece_bytes;
}

Manifest with_sizes(const std::vector<std::uint64_t>& sizes) {
  std::vector<Entry> entries(1);
  entries.front().kind = EntryKind::folder;
  for (const auto size : sizes) {
    Entry file;
    file.size = size;
    file.name = std::to_string(100 + entries.size());
    entries.push_back(file);
  }
  return Manifest(entries);
}

TEST(Layout, CoversEveryByteOnce) {
  for (const auto& sizes : std::vector<std::vector<std::uint64_t>>{
           {}, {0}, {0, 0}, {1}, {0, 1}, {1, 0}, {8, 8, 8}, {7, 9, 8}, {0, 0, 16, 0, 0, 1, 0}}) {
    for (std::uint64_t piece_bytes = 1; piece_bytes < 30; ++piece_bytes) {
      expect_layout_covers(with_sizes(sizes), piece_bytes);
    }
  }
}

TEST(Layout, CoversEveryByteOfRandomPayloads) {
  std::mt19937 random(42);  // NOLINT(cert-msc*): the same payloads every time.
  for (int round = 0; round < 500; ++round) {
    std::vector<std::uint64_t> sizes(random() % 12);
    for (auto& size : sizes) size = random() % 3 == 0 ? 0 : random() % 40;
    expect_layout_covers(with_sizes(sizes), 1 + random() % 50);
  }
}

TEST(Layout, OfAnEmptyPayloadIsOneEmptyPiece) {
  const Layout layout(with_sizes({0, 0}), 1024);
  EXPECT_EQ(layout.cut().pieces(), 1U);
  EXPECT_TRUE(layout.segments(0).empty());
}

TEST(Layout, ReachesBeyondFourGigabytes) {
  constexpr std::uint64_t kGiga = std::uint64_t{1} << 30U;
  const Layout layout(with_sizes({5 * kGiga, 5 * kGiga}), kGiga);
  const auto segments = layout.segments(9);
  ASSERT_EQ(segments.size(), 1U);
  EXPECT_EQ(segments[0].entry, 2U);
  EXPECT_EQ(segments[0].offset, 4 * kGiga);
  EXPECT_EQ(segments[0].bytes, kGiga);
}

}  // namespace
}  // namespace libsync
