#include "libsync/core/redis_server.h"

#include <fmt/format.h>

#include <algorithm>

#include "libsync/core/escaped_text.h"
#include "libsync/core/number.h"

namespace libsync {
namespace {

constexpr std::string_view kTcp = "redis://";
constexpr std::string_view kUnix = "unix://";

bool is_graphic(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > ' ' && c < 127; });
}

// The message shows no parameters: an unknown one may be a password.
Refusal refuse(std::string_view url, std::string_view rule) {
  return Refusal{
      fmt::format("'{}' {}: write redis://[user@]host[:port][/db] or "
                  "unix:///path.sock[?db=N]",
                  escaped(url.substr(0, url.find('?'))), rule)};
}

// Whether the URL has the form user:password@host, with any scheme or none.
bool holds_password(std::string_view url) {
  const auto scheme = url.find("://");
  const auto rest = scheme == std::string_view::npos ? url : url.substr(scheme + 3);
  const auto user = rest.substr(0, std::min(rest.rfind('@'), rest.size()));
  const bool is_path = rest.starts_with('/') && !url.starts_with(kTcp);
  return !is_path && user.size() < rest.size() && user.find(':') != std::string_view::npos;
}

std::variant<RedisServer, Refusal> parse_unix(std::string_view url, std::string_view rest) {
  RedisServer server;
  server.host.clear();
  const auto question = rest.find('?');
  server.socket = rest.substr(0, question);
  if (!server.socket.starts_with('/')) return refuse(url, "names no absolute path of a socket");
  if (question != std::string_view::npos) {
    auto query = rest.substr(question + 1);
    if (!query.starts_with("db=")) return refuse(url, "has a parameter other than db");
    if (!read_number(query.substr(3), server.database)) return refuse(url, "has a bad db");
  }
  return server;
}

std::variant<RedisServer, Refusal> parse_tcp(std::string_view url, std::string_view rest) {
  RedisServer server;
  if (rest.find('?') != std::string_view::npos) return refuse(url, "has a parameter");
  const auto slash = rest.find('/');
  if (slash != std::string_view::npos) {
    const auto database = rest.substr(slash + 1);
    if (!database.empty() && !read_number(database, server.database)) {
      return refuse(url, "has a bad db");
    }
    rest = rest.substr(0, slash);
  }
  const auto at = rest.rfind('@');
  if (at != std::string_view::npos) {
    server.user = rest.substr(0, at);
    rest = rest.substr(at + 1);
  }
  if (rest.starts_with('[')) {
    const auto bracket = rest.find(']');
    if (bracket == std::string_view::npos) return refuse(url, "has an unclosed bracket");
    server.host = rest.substr(1, bracket - 1);
    rest = rest.substr(bracket + 1);
    if (server.host.find(':') == std::string::npos || server.host.find('[') != std::string::npos) {
      return refuse(url, "has brackets around something other than an IPv6 address");
    }
  } else {
    server.host = rest.substr(0, rest.find(':'));
    rest = rest.substr(server.host.size());
  }
  if (!rest.empty() &&
      (rest.front() != ':' || !read_number(rest.substr(1), server.port) || server.port == 0)) {
    return refuse(url, "has a bad port");
  }
  if (server.host.empty()) return refuse(url, "names no host");
  return server;
}

}  // namespace

std::variant<RedisServer, Refusal> RedisServer::parse(std::string_view url) {
  // This check comes first, because every other refusal shows the URL.
  if (holds_password(url)) {
    return Refusal{
        "holds a password: put it into a file of mode 0600 and name that with "
        "--redis-password-file"};
  }
  if (!is_graphic(url)) return refuse(url, "holds a space or a character that is not ASCII");
  if (url.starts_with(kUnix)) return parse_unix(url, url.substr(kUnix.size()));
  if (url.starts_with(kTcp)) return parse_tcp(url, url.substr(kTcp.size()));
  return refuse(url, "starts with neither redis:// nor unix://");
}

std::string RedisServer::shown() const {
  if (!socket.empty()) return fmt::format("unix://{}?db={}", socket, database);
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return fmt::format("redis://{}{}{}{}{}:{}/{}", user, user.empty() ? "" : "@", is_ipv6 ? "[" : "",
                     host, is_ipv6 ? "]" : "", port, database);
}

}  // namespace libsync
