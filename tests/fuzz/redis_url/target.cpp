// The URL of Redis. Messages must not show the password in a wrong one.

#include "target.h"

#include "libsync/core/redis_server.h"

namespace libsync::fuzz {
namespace {

constexpr std::string_view kSecret = "s3cret";

// Whether a password stands where `redis://user:password@host` has it.
bool has_secret_as_password(std::string_view url) {
  constexpr std::string_view kScheme = "redis://";
  if (!url.starts_with(kScheme)) return false;
  url.remove_prefix(kScheme.size());
  const auto at = url.rfind('@');
  const auto colon = url.find(':');
  const auto secret = url.rfind(kSecret, at);
  return at != std::string_view::npos && secret != std::string_view::npos && colon < secret;
}

void check_server(const RedisServer& server) {
  require(server.host.empty() != server.socket.empty(), "a server is a host or a socket");
  require(server.socket.empty() || server.socket.starts_with('/'), "a socket is absolute");
  require(server.port > 0, "a port is none of 0");
  require(server.password.empty(), "a URL gives no password");
  const auto shown = server.shown();
  require(is_plain_line(shown), "a URL is a line");
  const auto again = RedisServer::parse(shown);
  require(std::holds_alternative<RedisServer>(again), "a shown URL parses");
  const auto& same = std::get<RedisServer>(again);
  require(same.host == server.host && same.port == server.port && same.socket == server.socket &&
              same.database == server.database && same.user == server.user,
          "a server survives its URL");
}

}  // namespace

void check(std::string_view input) {
  const auto parsed = RedisServer::parse(input);
  if (const auto* const server = std::get_if<RedisServer>(&parsed)) {
    require(!has_secret_as_password(input), "a URL with a password is refused");
    check_server(*server);
    return;
  }
  const auto& reason = std::get<Refusal>(parsed).reason;
  require(!reason.empty() && is_plain_line(reason), "a refusal is a line");
  require(!has_secret_as_password(input) || reason.find(kSecret) == std::string::npos,
          "a refusal shows no password");
}

}  // namespace libsync::fuzz
