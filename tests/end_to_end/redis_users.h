#pragma once

// The rules of cron/redis-users.conf, for the tests that load them into a server.

#include <filesystem>
#include <string>
#include <vector>

#include "fleet.h"

namespace libsync::test {

inline constexpr auto kUsersFile = SOURCE_FOLDER "/cron/redis-users.conf";

/// The words of a line.
[[nodiscard]] Words split(const std::string& line);

/// The lines of a file that define users, as words: user, name, rule …
[[nodiscard]] std::vector<Words> user_lines(const std::filesystem::path& file);

/// The rules of one user in the shipped file that begin with `start`, without it.
[[nodiscard]] Words rules_of(const std::string& user, const std::string& start);

/// Loads the users of the shipped file, except the default one, which the test remains.
void load_users(const TestRedis& redis);

/// The options of a program that logs in as this user. Writes the file of its password.
[[nodiscard]] Words options_of(const Host& host, const TestRedis& redis, const std::string& user);

}  // namespace libsync::test
