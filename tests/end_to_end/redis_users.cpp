#include "redis_users.h"

#include <iterator>
#include <sstream>

namespace libsync::test {

Words split(const std::string& line) {
  std::istringstream words(line);
  return {std::istream_iterator<std::string>(words), std::istream_iterator<std::string>()};
}

std::vector<Words> user_lines(const std::filesystem::path& file) {
  std::vector<Words> lines;
  std::istringstream text(content_of(file));
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("user ")) lines.push_back(split(line));
  }
  return lines;
}

Words rules_of(const std::string& user, const std::string& start) {
  Words rules;
  for (const auto& line : user_lines(kUsersFile)) {
    if (line[1] != user) continue;
    for (const auto& rule : line) {
      if (rule.starts_with(start)) rules.push_back(rule.substr(start.size()));
    }
  }
  EXPECT_FALSE(rules.empty()) << user << " " << start;
  return rules;
}

void load_users(const TestRedis& redis) {
  for (auto line : user_lines(kUsersFile)) {
    if (line[1] == "default") continue;
    line.front() = "setuser";
    line.insert(line.begin(), "acl");
    EXPECT_EQ(redis.cli(line), "OK") << line[2];
  }
}

Words options_of(const Host& host, const TestRedis& redis, const std::string& user) {
  const auto file = host.folder() / "redis.password";
  write_file(file, user + "-password\n");
  std::filesystem::permissions(file, std::filesystem::perms(0600));
  return {"--redis", redis.url(user), "--redis-password-file", file.string()};
}

}  // namespace libsync::test
