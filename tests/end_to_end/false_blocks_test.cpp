// Old and new bytes whose blocks have equal weak sums. rsync then uses some false block of old
// bytes, finds that the sum of the whole file is wrong, and writes the file once more.

#include <gmock/gmock.h>

#include <random>
#include <string>

#include "counted_fleet.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class FalseBlocks : public CountedFleet {
 protected:
  // Each four bytes have the same sum, and the same sum of sums. So all blocks of them have the
  // same weak sum of rsync.
  static std::string of_one_sum(std::size_t size, unsigned seed) {
    std::mt19937 random(seed);
    std::string bytes(size, '\x40');
    for (std::size_t i = 0; i + 3 <= size; i += 4) {
      const int step = static_cast<int>(random() % 31) - 15;
      bytes[i] = static_cast<char>(bytes[i] + step);
      bytes[i + 1] = static_cast<char>(bytes[i + 1] - 2 * step);
      bytes[i + 2] = static_cast<char>(bytes[i + 2] + step);
    }
    return bytes;
  }

  // A part of each piece is that of the other release, so old bytes are worth their use.
  static std::string release(unsigned number) {
    std::string bytes;
    for (unsigned piece = 0; piece < kPieces; ++piece) {
      bytes +=
          random_bytes(kMegabyte * 3 / 4, piece) + of_one_sum(kMegabyte / 4, 1000 * number + piece);
    }
    return bytes;
  }

  static constexpr unsigned kPieces = 16;
};

TEST_F(FalseBlocks, AccuseNobodyAndArePublishedNowhere) {
  add_hosts(1);
  write_file(source_root() / "app.1", release(1));
  write_file(source_root() / "app.2", release(2));
  distribute(source_root() / "app.1");
  distribute(source_root() / "app.2");
  EXPECT_THAT(last_output_, Not(HasSubstr("wrong bytes")));
  EXPECT_THAT(last_output_, Not(HasSubstr("warning: ")));
  EXPECT_THAT(master().log(), Not(HasSubstr("wrong bytes")));
}

}  // namespace
}  // namespace libsync::test
