#include "libsync/core/digest.h"

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace libsync {
namespace {

struct Vector {
  std::string message;
  std::string_view digest;
};

// The bytes of BLAKE3's own test vectors: 0, 1, …, 250, 0, …
std::string counted(std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) text.push_back(static_cast<char>(i % 251));
  return text;
}

// Lengths around a block of 64 bytes, a chunk of 1024, and the chunks that are hashed side by side.
// b3sum printed the digests.
std::vector<Vector> vectors() {
  return {
      {"", "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
      {"abc", "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"},
      {std::string(1'000'000, 'a'),
       "616f575a1b58d4c9797d4217b9730ae5e6eb319d76edef6549b46f4efe31ff8b"},
      {counted(1), "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
      {counted(63), "e9bc37a594daad83be9470df7f7b3798297c3d834ce80ba85d6e207627b7db7b"},
      {counted(64), "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98"},
      {counted(65), "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee"},
      {counted(1023), "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"},
      {counted(1024), "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"},
      {counted(1025), "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"},
      {counted(2049), "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030"},
      {counted(16385), "1dabe216be2578830263b049de1639f39f05a4da616b9b78c7a5e4e41662fd1f"},
      {counted(102400), "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"},
  };
}

TEST(Digest, IsBlake3) {
  for (const auto& [message, digest] : vectors()) {
    EXPECT_EQ(digest_of(message).hex(), digest) << message.size() << " bytes";
  }
}

TEST(Hasher, GivesTheSameInAnyPortions) {
  for (const std::size_t portion : {1U, 3U, 63U, 64U, 65U, 1000U, 1024U, 1025U, 70000U}) {
    for (const auto& [message, digest] : vectors()) {
      Hasher hasher;
      for (std::size_t at = 0; at < message.size(); at += portion) {
        hasher.update(std::string_view(message).substr(at, portion));
        hasher.update(std::string_view());
      }
      EXPECT_EQ(hasher.finish().hex(), digest) << message.size() << " bytes by " << portion;
    }
  }
}

TEST(Hasher, GoesOnAfterAMove) {
  Hasher first;
  first.update("a");
  Hasher second = std::move(first);
  second.update(std::as_bytes(std::span("bc", 2)));
  EXPECT_EQ(second.finish(), digest_of("abc"));
}

TEST(Digest, ParsesTheTextOfHex) {
  const auto digest = digest_of("abc");
  EXPECT_EQ(Digest::parse(digest.hex()), digest);
  EXPECT_EQ(Digest::from_raw(digest.raw()), digest);
  EXPECT_EQ(Digest::from_raw(digest.raw() + "x"), std::nullopt);
  EXPECT_EQ(Digest::from_raw(digest.raw().substr(1)), std::nullopt);
  EXPECT_NE(Digest::parse(digest.hex()), digest_of("abd"));
  EXPECT_EQ(Digest::parse(std::string(64, '0')), Digest(Digest::Bytes{}));
}

TEST(Digest, RefusesAnythingButItsOneSpelling) {
  const auto right = digest_of("abc").hex();
  std::string upper = right;
  upper[0] = 'B';
  for (const auto& text : std::vector<std::string>{
           "", right.substr(1), right.substr(0, 63), right + "0", right + " ", " " + right,
           right + "\n", upper, "0x" + right, "0x" + right.substr(2), right + std::string(1, '\0'),
           right.substr(0, 63) + "g", right.substr(0, 63) + std::string(1, '\0'), right + right,
           std::string(64, ' '), std::string(64, '-')}) {
    EXPECT_FALSE(Digest::parse(text)) << text;
  }
}

TEST(Digest, RefusesAWrongByteAnywhere) {
  const auto right = digest_of("abc").hex();
  for (std::size_t at = 0; at < right.size(); ++at) {
    auto text = right;
    text[at] = 'G';
    EXPECT_FALSE(Digest::parse(text)) << at;
    text[at] = right[at] == '0' ? '1' : '0';
    EXPECT_NE(Digest::parse(text), Digest::parse(right)) << at;
  }
}

}  // namespace
}  // namespace libsync
