// How long a function of the product may be, and how much a class may remember.
//
// Read from the sources as clang-format leaves them: what opens a brace ends where a brace closes
// at its own indentation.

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "temporary_folder.h"

namespace libsync {
namespace {

constexpr std::size_t kLinesOfAFunction = 60;
constexpr std::size_t kMembersOfAClass = 20;
// Staging cuts, pushes and announces side by side.
const std::map<std::string, std::size_t> kMembersOfLargerOnes = {{"src/master/staging.h", 22}};

using Lines = std::vector<std::string>;

/// The text between two braces, and how it begins and ends.
struct Body {
  std::string head;
  std::string end;
  std::size_t indentation = 0;
  Lines lines;

  [[nodiscard]] bool is_class() const {
    return head.starts_with("class ") || head.starts_with("struct ");
  }
  [[nodiscard]] bool is_function() const {
    return end == "}" && head.find('(') != std::string::npos;
  }
};

std::string without_indentation(const std::string& line) {
  const auto first = line.find_first_not_of(' ');
  return first == std::string::npos ? "" : line.substr(first);
}

std::size_t indentation_of(const std::string& line) {
  return line.size() - without_indentation(line).size();
}

/// The bodies that begin at this indentation. A head may have several lines.
std::vector<Body> bodies_in(const Lines& lines, std::size_t indentation) {
  static const std::regex no_head(R"(^(\}|//|#|namespace\b|public:|protected:|private:))");
  std::vector<Body> all;
  std::optional<Body> body;
  bool is_open = false;
  for (const auto& line : lines) {
    const auto text = without_indentation(line);
    const bool is_at = !text.empty() && indentation_of(line) == indentation;
    if (!body) {
      if (!is_at || std::regex_search(text, no_head)) continue;
      body = Body{"", "", indentation, {}};
    }
    if (is_open && is_at && text.starts_with("}")) {
      body->end = text;
      all.push_back(*std::exchange(body, std::nullopt));
      is_open = false;
    } else if (is_open) {
      body->lines.push_back(line);
    } else {
      body->head += text;
      is_open = text.ends_with("{");
      if (text.ends_with(";") || text.ends_with("}")) body.reset();
    }
  }
  return all;
}

void append_bodies(const Lines& lines, std::size_t indentation, std::vector<Body>& all) {
  for (const auto& body : bodies_in(lines, indentation)) {
    all.push_back(body);
    if (body.is_class()) append_bodies(body.lines, indentation + 2, all);
  }
}

/// All classes and functions, those in classes included.
std::vector<Body> all_bodies(const std::string& text) {
  Lines lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  std::vector<Body> all;
  append_bodies(lines, 0, all);
  return all;
}

std::size_t members_of(const Body& body) {
  static const std::regex member(R"(^[A-Za-z].*[ &*>][a-z0-9_]+_(\{.*\}| = .*)?;( *//.*)?$)");
  std::size_t count = 0;
  for (const auto& line : body.lines) {
    if (indentation_of(line) != body.indentation + 2) continue;
    if (std::regex_search(without_indentation(line), member)) ++count;
  }
  return count;
}

template <typename Check>
void for_every_file(const Check& check) {
  const std::filesystem::path top(SOURCE_FOLDER);
  std::size_t files = 0;
  for (const auto* const folder : {"src", "include"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(top / folder)) {
      const auto extension = entry.path().extension();
      if (extension != ".cpp" && extension != ".h") continue;
      ++files;
      check(entry.path().lexically_relative(top).string(), test::content_of(entry.path()));
    }
  }
  EXPECT_GT(files, 100U);
}

TEST(Size, FunctionsStayShort) {
  std::size_t functions = 0;
  for_every_file([&](const std::string& path, const std::string& text) {
    for (const auto& body : all_bodies(text)) {
      if (!body.is_function()) continue;
      ++functions;
      EXPECT_LE(body.lines.size(), kLinesOfAFunction) << path << ": " << body.head;
    }
  });
  EXPECT_GT(functions, 500U);
}

TEST(Size, ClassesRememberLittle) {
  std::size_t members = 0;
  for_every_file([&](const std::string& path, const std::string& text) {
    for (const auto& body : all_bodies(text)) {
      if (!body.is_class()) continue;
      members += members_of(body);
      const auto larger = kMembersOfLargerOnes.find(path);
      const auto most = larger == kMembersOfLargerOnes.end() ? kMembersOfAClass : larger->second;
      EXPECT_LE(members_of(body), most) << path << ": " << body.head;
    }
  });
  EXPECT_GT(members, 150U);
}

TEST(Size, FunctionsAndMembersAreFound) {
  const std::string text =
      "namespace {\n"
      "class Large final : public Small {\n"
      " public:\n"
      "  int held() const {\n"
      "    return held_;\n"
      "  }\n"
      " private:\n"
      "  struct Inner {\n"
      "    int inner_ = 0;\n"
      "  };\n"
      "  int held_;\n"
      "  std::vector<int> all_;  // Not few.\n"
      "  const Other& other_;\n"
      "  std::function<int()> make_{nullptr};\n"
      "  int call_it();\n"
      "};\n"
      "constexpr int kOne = 1;\n"
      "int declared(int a,\n"
      "             int b);\n"
      "int defined(int a,\n"
      "            int b) {\n"
      "  if (a > b) {\n"
      "    ++a;\n"
      "  }\n"
      "  return a;\n"
      "}\n"
      "}  // namespace\n";
  const auto all = all_bodies(text);
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(members_of(all[0]), 4U);
  EXPECT_TRUE(all[1].is_function());
  EXPECT_EQ(all[1].lines.size(), 1U);
  EXPECT_EQ(members_of(all[2]), 1U);
  EXPECT_TRUE(all[3].is_function());
  EXPECT_EQ(all[3].lines.size(), 4U);
}

}  // namespace
}  // namespace libsync
