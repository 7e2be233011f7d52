#include "libsync/core/task.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace libsync {
namespace {

using namespace std::string_view_literals;

// A path of `size` bytes. Its components have at most 200, so only the whole length matters.
std::string path_of(std::size_t size) {
  std::string path(size, 'x');
  for (std::size_t i = 0; i < size; i += 200) path[i] = '/';
  if (path.back() == '/') path[size - 2] = 'y', path[size - 1] = 'z';
  return path;
}

std::string component(std::size_t size) { return std::string(size, 'n'); }

std::vector<std::string> legal_tasks() {
  std::vector<std::string> all;
  for (const auto text :
       {// Text that has a meaning for other tools.
        "/a"sv, "/1"sv, "/data1/release/model.7"sv, "/data1/release/2018-12-20"sv, "/-"sv, "/-rf"sv,
        "/--daemon"sv, "/data/-e sh"sv, "/-a/-b"sv, "/data/ "sv, "/ /x"sv, "/a b"sv,
        "/data/ leading"sv, "/data/trailing "sv, "/data/two  spaces"sv, "/*"sv, "/data/*.bin"sv,
        "/data/[a-z]?"sv, "/data/{a,b}"sv, "/data/'single'"sv, "/data/\"double\""sv, "/data/`id`"sv,
        "/data/$(id)"sv, "/data/$HOME"sv, "/data/a;b"sv, "/data/a&b|c"sv, "/data/a>b<c"sv,
        "/data/back\\slash"sv, "/\\"sv, "/data/\\n"sv, "/data/#x"sv, "/~"sv, "/~root/x"sv,
        // Odd and plain.
        "/data/a:b"sv, "/data/host::module"sv, "/data/a@b"sv, "/data/100%"sv, "/data/%2e%2e"sv,
        "/data/%s%n"sv, "/data/{}"sv, "/data/!x"sv, "/data/a,b"sv, "/data/a=b"sv, "/..."sv,
        "/.../x"sv, "/..a"sv, "/a.."sv, "/.a"sv, "/a."sv, "/a/.hidden"sv, "/a/..b/c"sv, "/a/. "sv,
        "/ ./x"sv, "/.libsync/x"sv, "/.libsyncs"sv, "/libsync"sv, "/.LIBSYNC"sv, "/data/\xc3\xa4"sv,
        "/data/\xe6\xbc\xa2\xe5\xad\x97"sv, "/data/\xf0\x9f\x8e\x84"sv, "/data/\xff\xfe"sv,
        "/\x80"sv, "/data/\xc3"sv, "/data/\xc0\xae\xc0\xae/x"sv, "/data/\xc2\x9b"sv,
        "/etc/shadow"sv}) {
    all.emplace_back(text);
  }
  for (const char c : std::string("!\"#$%&'()*+,-:;<=>?@[\\]^_`{|}~ ")) {
    all.push_back(std::string("/data/") + c);
    all.push_back(std::string("/") + c + "/x");
  }
  for (const std::size_t size : {2U, 255U, 256U, 1000U, 4000U, 4094U, 4095U}) {
    all.push_back(path_of(size));
  }
  all.push_back("/" + component(255));
  return all;
}

std::vector<std::string> refused_tasks() {
  std::vector<std::string> all;
  for (const auto text :
       {// Not absolute, not plain, or no name for a payload.
        ""sv, "/"sv, "//"sv, "///"sv, "a"sv, "a/b"sv, "-"sv, "-/a"sv, " /a"sv, "./a"sv, "../a"sv,
        "."sv, ".."sv, "~/a"sv, "\\/a"sv, "'/a'"sv, "file:///a"sv, "host:/a"sv, "/a/"sv, "/a//"sv,
        "//a"sv, "/a//b"sv, "/a/b//"sv,
        // Bytes that would break a log or a tool.
        "/."sv, "/.."sv, "/./a"sv, "/../a"sv, "/a/."sv, "/a/.."sv, "/a/./b"sv, "/a/../b"sv,
        "/a/b/../.."sv, "/data/../etc/shadow"sv, "/.libsync"sv, "/data/.libsync"sv, "/data/\0"sv,
        "/\0"sv, "/data\0/x"sv, "/a\n"sv, "/a\r\n"sv, "\n/a"sv, "\0/a"sv, "/a\nb"sv, "/a\tb"sv,
        "/a\x1b[31m"sv, "/a\x7f"sv, "/\x7f/b"sv}) {
    all.emplace_back(text);
  }
  for (int byte = 0; byte < 0x20; ++byte) {
    const std::string control(1, static_cast<char>(byte));
    all.push_back("/data/" + control);
    all.push_back("/da" + control + "ta/x");
  }
  for (const std::size_t size : {4096U, 4097U, 5000U, 100'000U}) all.push_back(path_of(size));
  all.push_back("/" + component(256));
  all.push_back("/data/" + component(300));
  return all;
}

TEST(TaskPath, AcceptsEveryPlainAbsolutePath) {
  const auto tasks = legal_tasks();
  EXPECT_GE(tasks.size(), 120U);
  for (const auto& text : tasks) {
    const auto parsed = TaskPath::parse(text);
    ASSERT_TRUE(std::holds_alternative<TaskPath>(parsed)) << std::get<Refusal>(parsed).reason;
    const auto& task = std::get<TaskPath>(parsed);
    EXPECT_EQ(task.text(), text);
    EXPECT_EQ(std::get<TaskPath>(TaskPath::parse(task.text())), task);
    EXPECT_EQ(std::filesystem::path(text).lexically_normal().string(), text);
    EXPECT_EQ(task.name(), std::filesystem::path(text).filename().string());
    EXPECT_TRUE(is_payload_name(task.name())) << text;
  }
}

TEST(TaskPath, RefusesWithOneEscapedLine) {
  const auto tasks = refused_tasks();
  EXPECT_GE(tasks.size(), 110U);
  for (const auto& text : tasks) {
    const auto parsed = TaskPath::parse(text);
    ASSERT_TRUE(std::holds_alternative<Refusal>(parsed)) << "accepted: " << text;
    const auto& reason = std::get<Refusal>(parsed).reason;
    EXPECT_TRUE(std::all_of(reason.begin(), reason.end(), [](unsigned char c) {
      return c >= 0x20 && c != 0x7f;
    })) << reason;
    EXPECT_LT(reason.size(), 2000U);
    EXPECT_NE(reason.find("redis-cli set task"), std::string::npos) << reason;
  }
}

TEST(TaskPath, SaysWhichRuleWasBroken) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"data", "is not an absolute path"},
      {"", "is not an absolute path"},
      {path_of(4096), "longer than 4095 bytes"},
      {"/a\n", "control character"},
      {"/a/../b", "plain form"},
      {"/a/", "plain form"},
      {"/.libsync", "cannot be published"},
      {"/" + component(256), "cannot be published"}};
  for (const auto& [text, rule] : rows) {
    const auto reason = std::get<Refusal>(TaskPath::parse(text)).reason;
    EXPECT_NE(reason.find(rule), std::string::npos) << reason;
  }
  EXPECT_NE(std::get<Refusal>(TaskPath::parse("/a\x1b")).reason.find("/a\\x1b'"),
            std::string::npos);
}

TEST(PayloadName, IsOneComponentThatIsNotOurs) {
  for (const auto name : {"a"sv, "model.7"sv, "-rf"sv, " "sv, "..."sv, ".a"sv, "*"sv, "\xff"sv,
                          ".libsync2"sv, "libsync"sv, "a\\b"sv}) {
    EXPECT_TRUE(is_payload_name(name)) << name;
  }
  EXPECT_TRUE(is_payload_name(component(255)));
  for (const auto name : {""sv, "."sv, ".."sv, ".libsync"sv, "/"sv, "a/b"sv, "/a"sv, "a/"sv,
                          "a\n"sv, "\0"sv, "a\0b"sv, "\x7f"sv, "\x1f"sv}) {
    EXPECT_FALSE(is_payload_name(name)) << name;
  }
  EXPECT_FALSE(is_payload_name(component(256)));
}

struct RootRow {
  std::string task;
  std::vector<std::filesystem::path> roots;
  std::string root;  // Empty if the task is below none.
};

TEST(RootOf, IsTheFolderThatTheTaskLiesBelow) {
  const std::vector<RootRow> rows = {
      {"/data1/x", {"/data1"}, "/data1"},
      {"/data1/x/y/z", {"/data1"}, "/data1"},
      {"/data1/x", {"/data1/"}, "/data1/"},
      {"/data1/x", {"/data1/./"}, "/data1/./"},
      {"/data1/x", {"/data0/../data1"}, "/data0/../data1"},
      {"/data2/x", {"/data1", "/data2", "/data3"}, "/data2"},
      {"/x", {"/"}, "/"},
      {"/etc/shadow", {"/"}, "/"},
      {"/data1", {"/data1"}, ""},
      {"/data1", {"/data1/"}, ""},
      {"/data1", {"/data1/x"}, ""},
      {"/data10/x", {"/data1"}, ""},
      {"/data", {"/data1"}, ""},
      {"/data1x", {"/data1"}, ""},
      {"/data2/data1/x", {"/data1"}, ""},
      {"/DATA1/x", {"/data1"}, ""},
      {"/etc/shadow", {"/data1", "/data2"}, ""},
      {"/data1/x", {}, ""},
      // One root inside another is still a root.
      {"/data1/releases", {"/data1", "/data1/releases"}, ""},
      {"/data1/releases", {"/data1/releases/", "/data1"}, ""},
      {"/data1/releases/x", {"/data1/releases", "/data1"}, "/data1/releases"},
  };
  for (const auto& [text, roots, expected] : rows) {
    const auto root = root_of(std::get<TaskPath>(TaskPath::parse(text)), roots);
    EXPECT_EQ(root ? root->string() : "", expected) << text;
  }
}

}  // namespace
}  // namespace libsync
