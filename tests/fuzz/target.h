#pragma once

// A fuzz target: one function that feeds an input to a parser and requires rules of the result.
//
// Each folder beside this file is a target, with target.cpp and a corpus of real samples. libFuzzer
// calls check() for each input that it derives from them: ./tests/fuzz/run

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace libsync::fuzz {

/// Defined by each target. It may throw nothing.
void check(std::string_view input);

/// Ends the process if the rule does not hold. libFuzzer then keeps the input.
inline void require(bool holds, const char* rule) {
  if (holds) return;
  static_cast<void>(std::fprintf(stderr, "broken rule: %s\n", rule));
  std::abort();
}

/// Whether a log may show the text as one line: it has no control characters.
inline bool is_plain_line(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

/// The lines of a text, without their ends.
inline std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> all;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    all.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return all;
}

/// Whether the text is a name of one path component, as a file system accepts it.
inline bool is_component(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

}  // namespace libsync::fuzz
