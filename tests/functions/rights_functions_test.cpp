// The function rights: the rules that a user lacks.

#include <gmock/gmock.h>

#include <algorithm>

#include "function_caller.h"
#include "redis/coordinator.h"

namespace libsync::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

class RightsFunction : public testing::Test {
 protected:
  RightsFunction() { f.load(); }

  // The answer to a user who has all rights but those that `rules` remove.
  Texts asked_with(const std::vector<std::string>& rules, const std::string& role = "minion") {
    RedisCommand define{"ACL", "SETUSER", "one", "reset", "on", ">secret", "~*", "+@all"};
    define.insert(define.end(), rules.begin(), rules.end());
    EXPECT_THAT(f.ask(define), ElementsAre("OK"));
    auto server = redis.server();
    server.user = "one";
    server.password = "secret";
    RedisConnection connection(server);
    return texts_of(connection.ask({"FCALL", "libsync1_rights", "0", prefix, "", role}));
  }
  static Texts missing_in(Texts answer) {
    EXPECT_GE(answer.size(), 3U);
    answer.erase(answer.begin(), answer.begin() + 3);
    return answer;
  }

  TestRedis redis;
  FunctionCaller f{redis};
  std::string prefix;
};

TEST_F(RightsFunction, AnswersWhichFunctionsAndWhichRedisTheseAre) {
  for (const auto* const role : {"master", "minion"}) {
    const auto answer = f("rights", {role});
    ASSERT_THAT(answer, SizeIs(3)) << "this user may do everything";
    EXPECT_EQ(answer[0], "RIGHTS");
    EXPECT_EQ(answer[1], functions_digest());
    EXPECT_THAT(answer[1], SizeIs(40));
    EXPECT_EQ(answer[2],
              f.one({"INFO", "server"})
                  .substr(f.one({"INFO", "server"}).find("redis_version:") + 14, answer[2].size()));
  }
  EXPECT_THAT(f("rights", {"other"}).at(0), StartsWith("(error) ERR no such role"));
}

TEST_F(RightsFunction, NamesEachRuleThatIsMissing) {
  EXPECT_THAT(missing_in(asked_with({"-sscan"})), ElementsAre("+sscan"));
  EXPECT_THAT(missing_in(asked_with({"-function|load"}, "master")), ElementsAre("+function|load"));
  EXPECT_THAT(missing_in(asked_with({"-function|load"})), ElementsAre())
      << "a minion loads nothing";
  EXPECT_THAT(missing_in(asked_with({"-fcall", "+fcall|libsync1_rights", "+fcall|libsync1_join"})),
              Not(Contains("+fcall|libsync1_join")));
  EXPECT_THAT(missing_in(asked_with({"-fcall", "+fcall|libsync1_rights"})),
              Contains("+fcall|libsync1_join"));
  EXPECT_THAT(missing_in(asked_with({"-hget"})), ElementsAre("+hget"))
      << "and not each key that is tried by it";
}

TEST_F(RightsFunction, TellsReadingFromWriting) {
  EXPECT_THAT(missing_in(asked_with({"resetkeys", "%R~*"})), Contains("~sync:have"));
  EXPECT_THAT(missing_in(asked_with({"resetkeys", "%R~*"})), Not(Contains("%R~sync:run")));
  EXPECT_THAT(missing_in(asked_with({"resetkeys", "%W~*"})), Contains("%R~sync:run"));
  EXPECT_THAT(missing_in(asked_with({"resetkeys", "%W~*"})), Contains("~sync:have"));
  EXPECT_THAT(missing_in(asked_with({"resetkeys", "%R~*"}, "master")), Contains("~task"));
}

TEST_F(RightsFunction, PutsThePrefixInFrontOfEachKey) {
  prefix = "P:";
  EXPECT_THAT(missing_in(asked_with({"resetkeys", "~P:*"})), ElementsAre());
  const auto missing = missing_in(asked_with({"resetkeys", "~sync:*", "~*_queue", "~task"}));
  EXPECT_THAT(missing, Contains("%R~P:task"));
  EXPECT_THAT(missing, Contains("~P:sync:wake:*"));
}

TEST_F(RightsFunction, ChangesNothing) {
  EXPECT_THAT(asked_with({}), SizeIs(3));
  EXPECT_THAT(f.ask({"DBSIZE"}), ElementsAre("0"));
  EXPECT_THAT(f.one({"FCALL_RO", "libsync1_rights", "0", "", "", "minion"}), HasSubstr("RIGHTS"));
}

}  // namespace
}  // namespace libsync::test
