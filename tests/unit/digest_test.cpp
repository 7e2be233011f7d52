#include "libsync/digest.h"

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

// FIPS 180-4 examples, and lengths around the block of 64 bytes and its padding (sha256sum).
std::vector<Vector> vectors() {
  return {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1'000'000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
      {std::string(1, '\0'), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
      {std::string(55, 'x'), "d5e285683cd4efc02d021a5c62014694958901005d6f71e89e0989fac77e4072"},
      {std::string(56, 'x'), "04c26261370ee7541549d16dee320c723e3fd14671e66a099afe0a377c16888e"},
      {std::string(64, 'x'), "7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c"},
      {std::string(65, 'x'), "9537c5fdf120482f7d58d25e9ed583f52c02b4e304ea814db1633ad565aed7e9"},
  };
}

TEST(Digest, IsSha256) {
  for (const auto& [message, digest] : vectors()) {
    EXPECT_EQ(digest_of(message).hex(), digest) << message.size() << " bytes";
  }
}

TEST(Sha256, GivesTheSameInAnyPortions) {
  for (const std::size_t portion : {1U, 3U, 55U, 63U, 64U, 65U, 1000U}) {
    for (const auto& [message, digest] : vectors()) {
      if (message.size() > 1000) continue;
      Sha256 sha;
      for (std::size_t at = 0; at < message.size(); at += portion) {
        sha.update(std::string_view(message).substr(at, portion));
        sha.update(std::string_view());
      }
      EXPECT_EQ(sha.finish().hex(), digest) << message.size() << " bytes by " << portion;
    }
  }
}

TEST(Sha256, GoesOnAfterAMove) {
  Sha256 first;
  first.update("a");
  Sha256 second = std::move(first);
  second.update(std::as_bytes(std::span("bc", 2)));
  EXPECT_EQ(second.finish(), digest_of("abc"));
}

TEST(Digest, ParsesWhatHexWrites) {
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
