// The function repair: keys of the master that others have changed, one by one.

#include <gmock/gmock.h>

#include "function_caller.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto kYes = FunctionCaller::Last::yes;

class RepairFunctions : public testing::Test {
 protected:
  RepairFunctions() {
    f.begin(run, 4, "10.0.0.1", 2, {"10.0.0.5"});
    f.stage(run, {0, 1, 2, 3}, kYes);
    f.finish(run, "10.0.0.5", digest(0));
  }

  // The spool says what begin() and stage() said.
  Texts repair(const std::string& complete = "1") {
    return f("repair", {run, another, complete, "/data/model.1", "model.1", std::string(32, 'f'),
                        "40", "10", "4", digest(0), "100", std::string(32, 'a'), "0",
                        digest(0) + digest(1) + digest(2) + digest(3), "10.0.0.5"});
  }
  void expect_right(const std::string& id) {
    EXPECT_EQ(f.one({"HGET", "sync:run", "id"}), id);
    EXPECT_EQ(f.one({"GET", "sync:digests"}), digest(0) + digest(1) + digest(2) + digest(3));
    EXPECT_THAT(f.members("sync:expected"), ElementsAre("10.0.0.5"));
    EXPECT_EQ(f("repair", {id, another, "1", "/data/model.1", "model.1", std::string(32, 'f'), "40",
                           "10", "4", digest(0), "100", std::string(32, 'a'), "0",
                           digest(0) + digest(1) + digest(2) + digest(3), "10.0.0.5"}),
              (Texts{"REPAIRED", id}));
  }

  TestRedis redis;
  FunctionCaller f{redis};
  const std::string run = run_id(1);
  const std::string another = run_id(2);
};

TEST_F(RepairFunctions, ARightRunStaysAsItIs) {
  EXPECT_THAT(repair(), ElementsAre("REPAIRED", run));
  EXPECT_EQ(f.one({"HLEN", "sync:done"}), "1");
  EXPECT_EQ(f.one({"HGET", "sync:run", "state"}), "staged");
  expect_right(run);
}

TEST_F(RepairFunctions, AWrongValueOfThePayloadMakesEachHostFinishAgain) {
  for (const auto* const field : {"path", "name", "fingerprint", "bytes", "piece_bytes", "pieces",
                                  "manifest", "manifest_bytes"}) {
    for (const auto& value : {std::string("7"), std::string(), std::string("\xff\0x", 3)}) {
      f.ask({"HSET", "sync:run", "id", run, field, value});
      f.ask({"HSET", "sync:done", "10.0.0.5", "1"});
      f.ask({"SADD", "finished_queue", "10.0.0.5"});
      EXPECT_THAT(repair(), ElementsAre("REPAIRED", another, "sync:run")) << field;
      EXPECT_EQ(f.one({"EXISTS", "sync:done", "finished_queue"}), "0") << field;
      expect_right(another);
      EXPECT_EQ(f.finish(run, "10.0.0.5", digest(0)), Texts{"STALE"}) << "it used another value";
    }
    f.ask({"HSET", "sync:run", "id", run});
  }
}

TEST_F(RepairFunctions, AWrongDigestMakesEachHostFinishAgain) {
  const auto right = digest(0) + digest(1) + digest(2) + digest(3);
  for (const auto& wrong : {std::string(), digest(0), digest(0) + digest(9) + digest(2) + digest(3),
                            right + digest(4)}) {
    f.ask({"HSET", "sync:run", "id", run});
    f.ask({"SET", "sync:digests", wrong});
    EXPECT_THAT(repair(), ElementsAre("REPAIRED", another, "sync:digests"));
    EXPECT_EQ(f.one({"EXISTS", "sync:done"}), "0");
    EXPECT_EQ(f.one({"HGET", "sync:run", "state"}), "staged");
    expect_right(another);
  }
}

TEST_F(RepairFunctions, AnIdThatIsNoneIsAnother) {
  f.ask({"HSET", "sync:run", "id", "x"});
  EXPECT_THAT(repair(), ElementsAre("REPAIRED", another, "sync:run"));
  expect_right(another);
}

TEST_F(RepairFunctions, AnExpectedHostThatIsMissingComesBack) {
  f.ask({"DEL", "sync:expected"});
  EXPECT_THAT(repair(), ElementsAre("REPAIRED", run, "sync:expected"));
  EXPECT_EQ(f.one({"HLEN", "sync:done"}), "1");
  expect_right(run);
}

TEST_F(RepairFunctions, NumbersAndTheMasterAreCorrectedInPlace) {
  for (const auto* const field : {"known", "started", "trees", "seated", "master", "expected"}) {
    f.ask({"HSET", "sync:run", field, "x"});
    EXPECT_THAT(repair(), ElementsAre("REPAIRED", run, "sync:run")) << field;
    EXPECT_EQ(f.one({"HLEN", "sync:done"}), "1");
    expect_right(run);
  }
}

TEST_F(RepairFunctions, ARunThatIsNotOnRecordIsNotStaged) {
  EXPECT_THAT(repair("0"), ElementsAre("REPAIRED", run, "sync:run"));
  EXPECT_EQ(f.one({"HGET", "sync:run", "state"}), "staging");
  for (const auto& [field, value] : {std::pair{"state", "x"}, std::pair{"announced", ""}}) {
    f.ask({"HSET", "sync:run", "state", "staged", field, value});
    EXPECT_EQ(repair().back(), field == std::string("state") ? "sync:run" : "sync:digests");
    EXPECT_EQ(f.one({"HGET", "sync:run", "state"}), "staging");
    f.ask({"HSET", "sync:run", "id", run});
  }
}

TEST_F(RepairFunctions, OtherRunsAndOtherVersionsAreLeftAlone) {
  f.ask({"HSET", "sync:run", "id", run_id(7)});
  EXPECT_EQ(repair(), Texts{"STALE"});
  f.ask({"HSET", "sync:run", "id", run, "manifest", "1:blake3:" + std::string(64, 'b')});
  EXPECT_EQ(repair(), Texts{"STALE"});
  f.ask({"HSET", "sync:run", "manifest", "blake3:" + std::string(64, 'b')});
  EXPECT_EQ(repair(), Texts{"STALE"});
  f.ask({"DEL", "sync:run"});
  EXPECT_EQ(repair(), Texts{"STALE"});
}

TEST_F(RepairFunctions, AnErrorNamesTheCommandTheKeyAndTheFunction) {
  const auto answer = f("join", {"10.0.0.5", "0", "0", "x"});
  f.ask({"HDEL", "sync:run", "id"});
  EXPECT_TRUE(f("join", {"10.0.0.5", "0", "0", "x"})
                  .at(0)
                  .ends_with(" (ZADD sync:minions in libsync1_join)"))
      << answer.at(0);
}

}  // namespace
}  // namespace libsync::test
