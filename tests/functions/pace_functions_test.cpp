// The pace of sources: a slow one gets few claims, and a late piece comes from another source.

#include <gmock/gmock.h>

#include "function_caller.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr auto kOrigin = "10.0.0.1";
constexpr auto kFast = "10.0.0.5";
constexpr auto kSlow = "10.0.0.6";
constexpr std::size_t kSource = 2;

/// The origin offers nothing. Two others have all pieces.
class PaceFunctions : public testing::Test {
 protected:
  PaceFunctions() {
    f.begin(run, 8, kOrigin, 2);
    f.stage(run, {0, 1, 2, 3, 4, 5, 6, 7}, FunctionCaller::Last::yes);
    f.ask({"HSET", "sync:slots", kOrigin, "0"});
    f.ask({"SREM", "synchronize_queue", kOrigin});
  }

  /// These hosts offer slots, and the other one does not.
  void offer(unsigned fast, unsigned slow) {
    f.hold(run, kFast, all_bits(8), fast);
    f.hold(run, kSlow, all_bits(8), slow);
  }

  Texts claim(unsigned number, unsigned most = 1, const std::string& beside = "") {
    return f.claim(run, host(number), token(number), none, none, most, beside);
  }

  /// A claim on the only source that offers a slot lasts for this time.
  void pull(unsigned ms, unsigned pieces = 1) {
    ++pulls_;
    ASSERT_EQ(claim(pulls_, pieces).at(0), "CLAIMED");
    f.now += ms;
    f.complete(run, host(pulls_), token(pulls_), "good", none);
  }

  /// 20 pulls from the fast source set the usual time to 100 ms.
  void settle() {
    offer(4, 0);
    for (int i = 0; i < 20; ++i) pull(100);
    offer(0, 4);
  }

  std::string pace_of(const std::string& source) { return f.one({"HGET", "sync:pace", source}); }

  static std::string host(unsigned number) { return "10.0.1." + std::to_string(number); }

  TestRedis redis;
  FunctionCaller f{redis};
  const std::string run = run_id(1);
  const std::string none = bits(8, {});
  unsigned pulls_ = 0;
};

TEST_F(PaceFunctions, EveryViewHoldsTheUsualTimeOfAPiece) {
  EXPECT_EQ(claim(200).at(5), "0") << "not known yet";
  offer(4, 0);
  pull(300, 3);
  EXPECT_EQ(claim(201).at(7), "100") << "for one of three";
  EXPECT_EQ(f.hold(run, kFast, all_bits(8), 4).at(5), "100");
}

TEST_F(PaceFunctions, ASourceOfUsualPaceIsNotSlow) {
  settle();
  for (int i = 0; i < 10; ++i) pull(390);
  EXPECT_THAT(pace_of(kSlow), Not(HasSubstr("slow")));
}

TEST_F(PaceFunctions, ASlowSourceGetsOneClaimAtATime) {
  settle();
  pull(5'000);
  EXPECT_THAT(pace_of(kSlow), HasSubstr("slow"));
  EXPECT_EQ(claim(200).at(kSource), kSlow);
  EXPECT_EQ(claim(201).at(0), "WAIT");
  offer(4, 4);
  for (unsigned i = 202; i < 206; ++i) EXPECT_EQ(claim(i).at(kSource), kFast) << i;
}

TEST_F(PaceFunctions, ASlowSourceThatBecomesFastIsASourceLikeOthers) {
  settle();
  pull(5'000);
  for (int i = 0; i < 4; ++i) pull(300);
  EXPECT_THAT(pace_of(kSlow), HasSubstr("slow")) << "alone it has more than half of its pace";
  for (int i = 0; i < 8; ++i) pull(100);
  EXPECT_THAT(pace_of(kSlow), Not(HasSubstr("slow")));
}

TEST_F(PaceFunctions, OneSlowSourceDoesNotChangeWhatIsUsual) {
  settle();
  for (int i = 0; i < 3; ++i) pull(100'000);
  EXPECT_LT(std::stod(pace_of("usual")), 200);
}

TEST_F(PaceFunctions, TheOriginIsNoSlowSource) {
  settle();
  offer(0, 0);
  f.ask({"HSET", "sync:slots", kOrigin, "2"});
  f.ask({"SADD", "synchronize_queue", kOrigin});
  pull(5'000);
  EXPECT_EQ(claim(200).at(kSource), kOrigin);
  EXPECT_EQ(claim(201).at(kSource), kOrigin);
}

TEST_F(PaceFunctions, ALatePieceComesFromAnotherSource) {
  offer(4, 4);
  for (unsigned i = 1; i < 20; ++i) {
    EXPECT_EQ(f.claim(run, host(1), token(100 + i), none, bits(8, {1, 2, 3, 4, 5, 6, 7}), 1, kSlow)
                  .at(kSource),
              kFast);
    const auto next = f.complete(run, host(1), token(100 + i), "good", none, token(200 + i),
                                 bits(8, {1, 2, 3, 4, 5, 6, 7}), kFast);
    EXPECT_EQ(next.at(kSource), kSlow);
    f.complete(run, host(1), token(200 + i), "good", none);
  }
  offer(0, 4);
  EXPECT_EQ(claim(250, 1, kSlow).at(0), "WAIT") << "the only source is the late one";
}

TEST_F(PaceFunctions, ALatePieceComesFromTheOriginAlthoughItIsOnTheWayAndTheRunIsStaged) {
  f.ask({"HSET", "sync:slots", kOrigin, "2"});
  f.ask({"SADD", "synchronize_queue", kOrigin});
  offer(0, 1);
  ASSERT_EQ(f.claim(run, host(1), token(1), none, bits(8, {1, 2, 3, 4, 5, 6, 7})).at(kSource),
            kSlow);
  EXPECT_EQ(
      f.claim(run, host(1), token(2), none, bits(8, {1, 2, 3, 4, 5, 6, 7}), 1, kSlow).at(kSource),
      kOrigin);
}

}  // namespace
}  // namespace libsync::test
