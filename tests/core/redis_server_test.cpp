#include "libsync/core/redis_server.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace libsync {
namespace {

using namespace std::string_view_literals;

struct UrlRow {
  std::string_view url;
  std::string_view host;
  std::uint16_t port;
  std::string_view socket;
  unsigned database;
  std::string_view user;
  std::string_view shown;
};

TEST(RedisServer, IsReadFromItsUrl) {
  for (const auto& row : std::vector<UrlRow>{
           {"redis://h", "h", 6379, "", 0, "", "redis://h:6379/0"},
           {"redis://h:1", "h", 1, "", 0, "", "redis://h:1/0"},
           {"redis://h:65535", "h", 65535, "", 0, "", "redis://h:65535/0"},
           {"redis://h/", "h", 6379, "", 0, "", "redis://h:6379/0"},
           {"redis://h:7/", "h", 7, "", 0, "", "redis://h:7/0"},
           {"redis://me@[::1]:7/", "::1", 7, "", 0, "me", "redis://me@[::1]:7/0"},
           {"redis://h/3", "h", 6379, "", 3, "", "redis://h:6379/3"},
           {"redis://h:7/3", "h", 7, "", 3, "", "redis://h:7/3"},
           {"redis://me@h", "h", 6379, "", 0, "me", "redis://me@h:6379/0"},
           {"redis://me@h:7/15", "h", 7, "", 15, "me", "redis://me@h:7/15"},
           {"redis://a@b@h", "h", 6379, "", 0, "a@b", "redis://a@b@h:6379/0"},
           {"redis://127.0.0.1:6380", "127.0.0.1", 6380, "", 0, "", "redis://127.0.0.1:6380/0"},
           {"redis://redis-1.example", "redis-1.example", 6379, "", 0, "",
            "redis://redis-1.example:6379/0"},
           {"redis://[::1]", "::1", 6379, "", 0, "", "redis://[::1]:6379/0"},
           {"redis://[fd00::7]:7/2", "fd00::7", 7, "", 2, "", "redis://[fd00::7]:7/2"},
           {"redis://me@[::1]:7", "::1", 7, "", 0, "me", "redis://me@[::1]:7/0"},
           {"unix:///run/redis.sock", "", 6379, "/run/redis.sock", 0, "",
            "unix:///run/redis.sock?db=0"},
           {"unix:///run/a:b@c", "", 6379, "/run/a:b@c", 0, "", "unix:///run/a:b@c?db=0"},
           {"unix:///run/redis.sock?db=4", "", 6379, "/run/redis.sock", 4, "",
            "unix:///run/redis.sock?db=4"}}) {
    const auto parsed = RedisServer::parse(row.url);
    ASSERT_TRUE(std::holds_alternative<RedisServer>(parsed)) << std::get<Refusal>(parsed).reason;
    const auto& server = std::get<RedisServer>(parsed);
    EXPECT_EQ(server.host, row.host) << row.url;
    EXPECT_EQ(server.port, row.port) << row.url;
    EXPECT_EQ(server.socket, row.socket) << row.url;
    EXPECT_EQ(server.database, row.database) << row.url;
    EXPECT_EQ(server.user, row.user) << row.url;
    EXPECT_EQ(server.password, "") << row.url;
    EXPECT_EQ(server.shown(), row.shown);
    // The shown text parses to the same server.
    const auto again = RedisServer::parse(server.shown());
    ASSERT_TRUE(std::holds_alternative<RedisServer>(again)) << std::get<Refusal>(again).reason;
    EXPECT_EQ(std::get<RedisServer>(again).host, row.host);
    EXPECT_EQ(std::get<RedisServer>(again).shown(), row.shown);
  }
}

TEST(RedisServer, IsNotReadFromAnythingElse) {
  for (const auto url :
       {// No URL of ours.
        ""sv, "h"sv, "h:6379"sv, "127.0.0.1"sv, "http://h"sv, "rediss://h"sv, "REDIS://h"sv,
        "redis:/h"sv, "redis:h"sv, " redis://h"sv, "/run/redis.sock"sv, "redis"sv,
        // No host, or a broken one.
        "redis://"sv, "redis:///"sv, "redis:///0"sv, "redis://:6379"sv, "redis://me@"sv,
        "redis://me@:6379"sv, "redis://[]"sv, "redis://[h]"sv, "redis://[[::1]"sv, "redis://[[f]"sv,
        "redis://[::1"sv, "redis://[::1]x"sv, "redis://[::1]x:7"sv, "redis://::1"sv,
        "redis://h h"sv, "redis://h\n"sv, "redis://h\0"sv, "redis://\xc3\xa4"sv, "redis://h\x7f"sv,
        // Ports and databases.
        "redis://h:"sv, "redis://h:0"sv, "redis://h:65536"sv, "redis://h:-1"sv, "redis://h:+1"sv,
        "redis://h:6379x"sv, "redis://h:0x1"sv, "redis://h:1:2"sv, "redis://h//"sv, "redis://h/x"sv,
        "redis://h/-1"sv, "redis://h/1/"sv, "redis://h/1?x"sv, "redis://h/4294967296"sv,
        // Sockets.
        "unix://"sv, "unix://run/redis.sock"sv, "unix://?db=1"sv, "unix:///s?"sv, "unix:///s?db="sv,
        "unix:///s?db=x"sv, "unix:///s?db=-1"sv, "unix:///s?x=1"sv, "unix:///s?db=1&x=2"sv,
        "unix:///s t"sv, "unix:/run/redis.sock"sv}) {
    const auto parsed = RedisServer::parse(url);
    ASSERT_TRUE(std::holds_alternative<Refusal>(parsed)) << "accepted: " << url;
    const auto& reason = std::get<Refusal>(parsed).reason;
    EXPECT_FALSE(reason.empty());
    EXPECT_EQ(reason.find('\n'), std::string::npos) << reason;
  }
}

TEST(RedisServer, NeverShowsAPasswordOfItsUrl) {
  for (const auto url :
       {"redis://me:s3cret@h"sv, "redis://:s3cret@h"sv, "redis://me:s3cret@h:6379/0"sv,
        "redis://me:s3cret@[::1]"sv, "redis://me:a@s3cret@h"sv, "redis://me@a:s3cret@h"sv,
        // A password beside another mistake.
        "redis:///me:s3cret@h"sv, "redis:///:s3cret@h:6379/0"sv, "redis://me:s3cret@"sv,
        "redis://me:s3cret@h/x"sv, "redis://me:s3cret@h:x"sv, "redis://me:s3cret@h:0"sv,
        "redis://me:s3cret/x@h"sv, "redis://me:x/s3cret@h"sv, "redis://me:x/s3cret@h/0"sv,
        "redis://me:s3cret@[::1"sv, "redis://me:s3 s3cret@h"sv, "redis://me:s3cret\n@h"sv,
        "redis://me:s3cret\xc3\xa4@h"sv, "rediss://me:s3cret@h"sv, "http://me:s3cret@h"sv,
        "me:s3cret@h"sv, "unix://me:s3cret@/run/redis.sock"sv, "unix://:s3cret@s"sv,
        " redis://me:s3cret@h"sv}) {
    const auto parsed = RedisServer::parse(url);
    ASSERT_TRUE(std::holds_alternative<Refusal>(parsed)) << "accepted: " << url;
    const auto& reason = std::get<Refusal>(parsed).reason;
    EXPECT_EQ(reason.find("s3cret"), std::string::npos) << reason;
    EXPECT_NE(reason.find("--redis-password-file"), std::string::npos) << reason;
  }
}

TEST(RedisServer, NeverShowsAParameterThatItDoesNotKnow) {
  for (const auto url : {"unix:///s?password=s3cret"sv, "unix:///s?db=1&password=s3cret"sv,
                         "redis://h/0?password=s3cret"sv, "redis://h?password=s3cret"sv}) {
    const auto parsed = RedisServer::parse(url);
    ASSERT_TRUE(std::holds_alternative<Refusal>(parsed)) << "accepted: " << url;
    EXPECT_EQ(std::get<Refusal>(parsed).reason.find("s3cret"), std::string::npos) << url;
  }
}

TEST(RedisServer, NeverShowsItsPassword) {
  RedisServer server;
  server.user = "me";
  server.password = "s3cret";
  EXPECT_EQ(server.shown(), "redis://me@127.0.0.1:6379/0");
  server.socket = "/run/redis.sock";
  EXPECT_EQ(server.shown(), "unix:///run/redis.sock?db=0");
}

}  // namespace
}  // namespace libsync
