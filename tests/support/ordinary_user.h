#pragma once

// Runs a check as an ordinary user. The tests may run as root, which no permission stops.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>

namespace libsync::test {

inline constexpr unsigned kOrdinaryUser = 65534;

/// Whether `holds` is true in a process of its own.
[[nodiscard]] inline bool holds_in_child(const std::function<bool()>& holds) {
  const pid_t child = fork();
  if (child == 0) {
    bool is_so = false;
    try {
      is_so = holds();
    } catch (const std::exception& error) {
      fprintf(stderr, "%s\n", error.what());
    }
    _exit(is_so ? 0 : 1);
  }
  int status = -1;
  return waitpid(child, &status, 0) == child && status == 0;
}

/// Whether `holds` is true in a process of an ordinary user.
[[nodiscard]] inline bool holds_for_ordinary_user(const std::function<bool()>& holds) {
  return holds_in_child([&] {
    const bool is_ordinary =
        geteuid() != 0 || (setgid(kOrdinaryUser) == 0 && setuid(kOrdinaryUser) == 0);
    return is_ordinary && holds();
  });
}

/// Gives the path to that user. Does nothing unless the tests run as root.
inline void give_to_ordinary_user(const std::filesystem::path& path) {
  EXPECT_TRUE(geteuid() != 0 || lchown(path.c_str(), kOrdinaryUser, kOrdinaryUser) == 0) << path;
}

}  // namespace libsync::test
