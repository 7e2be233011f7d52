// The configuration file's text: its values, and the exact message of each refusal.

#include "programs/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <thread>

#include "libsync/core/escaped_text.h"
#include "ordinary_user.h"
#include "programs/usage_error.h"
#include "temporary_folder.h"

namespace libsync {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::vector<ConfigKey> kKeys = {
    {"linger", KeyKind::text},     {"slots", KeyKind::text},  {"redis", KeyKind::text},
    {"bwlimit", KeyKind::text},    {"prefix", KeyKind::text}, {"after-publish", KeyKind::text},
    {"piece-size", KeyKind::text}, {"owner", KeyKind::flag},  {"peers", KeyKind::list},
    {"source-root", KeyKind::list}};

std::vector<ConfigEntry> parsed(const std::string& text) {
  return parse_config(text, "sync.toml", kKeys);
}

// The refusal, or an empty text for a good file.
std::string refusal(const std::string& text) {
  try {
    static_cast<void>(parsed(text));
    return {};
  } catch (const UsageError& error) {
    return error.what();
  }
}

using Values = std::vector<std::string>;

TEST(ConfigText, GivesTheValuesOfAKey) {
  const struct {
    const char* text;
    Values values;
  } rows[] = {
      {"linger = \"115s\"", {"115s"}},
      {"linger = '115s' # a comment", {"115s"}},
      {"\"linger\" = \"115s\"", {"115s"}},
      {"\t linger=\"115s\"\r\n", {"115s"}},
      {"\xef\xbb\xbflinger = \"115s\"", {"115s"}},
      {"linger = 115", {"115"}},
      {"slots = +5", {"5"}},
      {"slots = 0x10", {"16"}},
      {"slots = 1_0", {"10"}},
      {"slots = \"5\"", {"5"}},
      {"slots = [5]", {"5"}},
      {"bwlimit = 1.5", {"1.5"}},
      {"slots = 5.0", {"5.0"}},
      {"prefix = \"\"", {""}},
      {"owner = true", {"true"}},
      {"owner = false", {"false"}},
      {"owner = \"yes\"", {"yes"}},
      {"owner = 1", {"1"}},
      {"peers = \"10.0.0.0/8\"", {"10.0.0.0/8"}},
      {"peers = [\"10.0.0.0/8\"]", {"10.0.0.0/8"}},
      {"peers = [\n  \"10.0.0.0/8\",  # one\n\n  '11.0.0.0/8',\n]\n", {"10.0.0.0/8", "11.0.0.0/8"}},
      {"source-root = [\"/a b\", \"/c,d\", \"/e]\", \"/f#g\"]", {"/a b", "/c,d", "/e]", "/f#g"}},
      {"after-publish = \"touch x#2\"", {"touch x#2"}},
      {"after-publish = \"touch x1; touch x#2\"  # both", {"touch x1; touch x#2"}},
      {"after-publish = \"echo \\\"a\\\" \\\\ \\u00e4\"", {"echo \"a\" \\ \xc3\xa4"}},
      {"after-publish = 'echo \"a\" \\'", {"echo \"a\" \\"}},
      {"after-publish = \"\"\"\ntouch a\nslots = 3\n\"\"\"", {"touch a\nslots = 3\n"}},
      {"after-publish = '''touch a\ntouch b'''", {"touch a\ntouch b"}},
      {"after-publish = \"a, b [c] = d\"", {"a, b [c] = d"}},
  };
  for (const auto& row : rows) {
    const auto entries = parsed(row.text);
    ASSERT_EQ(entries.size(), 1U) << row.text;
    EXPECT_EQ(entries[0].values, row.values) << row.text;
    EXPECT_EQ(entries[0].line, 1U) << row.text;
  }
}

TEST(ConfigText, GivesEntriesInTheOrderOfTheirLines) {
  std::vector<std::string> order;
  for (const auto& entry :
       parsed("slots = 5\n\n# peers\npeers = [\n\"10.0.0.0/8\"]\nlinger = 1\n")) {
    order.push_back(entry.key + " " + std::to_string(entry.line));
  }
  EXPECT_THAT(order, ElementsAre("slots 1", "peers 4", "linger 6"));
  for (const auto* const nothing : {"", "\n", "# slots = 5", " \t\r\n"}) {
    EXPECT_TRUE(parsed(nothing).empty()) << nothing;
  }
}

struct Row {
  const char* text;
  const char* message;  // Without its prefix "sync.toml:".
};

void expect_refusals(const std::vector<Row>& rows) {
  for (const auto& row : rows) {
    EXPECT_EQ(refusal(row.text), std::string("sync.toml:") + row.message) << row.text;
  }
}

TEST(ConfigText, NamesAnUnknownKey) {
  expect_refusals({
      {"linger = 5\nsorce-root = \"/x\"",
       "2: neither program knows the key 'sorce-root': did you mean 'source-root'?"},
      {"sorce-root = /x",
       "1: neither program knows the key 'sorce-root': did you mean 'source-root'?"},
      {"\"a b\\n\" = 1",
       "1: neither program knows the key 'a b\\n': correct or delete it (see --help)"},
      {"b = 1\na = 1", "1: neither program knows the key 'b': correct or delete it (see --help)"},
      {"slots = true\nb = 1", "1: 'slots' must be a text or a number: write slots = \"VALUE\""},
  });
}

TEST(ConfigText, HasNoTables) {
  expect_refusals({
      {"slots = 5\n[master]\nminions = 3",
       "2: the file has a table [master]: write its keys without one"},
      {"[default]\nlinger = 5", "1: the file has a table [default]: write its keys without one"},
      {"[[hosts]]\nlinger = 5", "1: the file has a table [hosts]: write its keys without one"},
      {"a.b = 5", "1: the file has a table [a]: write its keys without one"},
      {"linger.x = 5", "1: 'linger' must be a text or a number: write linger = \"VALUE\""},
      {"linger = {}", "1: 'linger' must be a text or a number: write linger = \"VALUE\""},
      {"owner = {a = 1}", "1: 'owner' must be true or false: write owner = true"},
      {"[slots]", "1: 'slots' must be a text or a number: write slots = \"VALUE\""},
  });
}

TEST(ConfigText, RefusesAValueOfAWrongType) {
  expect_refusals({
      {"linger = true", "1: 'linger' must be a text or a number: write linger = \"VALUE\""},
      {"prefix = 2026-01-02",
       "1: 'prefix' must be a text or a number: write prefix = \"2026-01-02\""},
      {"prefix = 2026-01-02T10:00:00Z",
       "1: 'prefix' must be a text or a number: write prefix = \"2026-01-02T10:00:00Z\""},
      {"prefix = 10:00:00", "1: 'prefix' must be a text or a number: write prefix = \"10:00:00\""},
      {"owner = 1.5", "1: 'owner' must be true or false: write owner = true"},
      {"linger = [\"1s\", \"2s\"]",
       "1: 'linger' has one value, and the array holds 2: keep one of them"},
      {"peers = []", "1: the array of 'peers' is empty: name a value, or delete the key"},
      {"linger = []", "1: the array of 'linger' is empty: name a value, or delete the key"},
      {"peers = [[\"10.0.0.0/8\"]]",
       "1: 'peers' must be a text or a number: write peers = \"VALUE\""},
      {"peers = [\n\"10.0.0.0/8\",\ntrue]",
       "3: 'peers' must be a text or a number: write peers = \"VALUE\""},
      {"after-publish = \"a\\u0000b\"",
       "1: the text of 'after-publish' holds a NUL character: delete it"},
  });
}

TEST(ConfigText, GivesTheCorrectedLineOfAValueWithoutQuotes) {
  expect_refusals({
      {"slots = 5\nlinger = 115s\n",
       "2: the text of 'linger' needs quotes: write linger = \"115s\""},
      {"linger = 115s # under */2",
       "1: the text of 'linger' needs quotes: write linger = \"115s\""},
      {"\"linger\" = 115s", "1: the text of 'linger' needs quotes: write linger = \"115s\""},
      {"linger = soon", "1: the text of 'linger' needs quotes: write linger = \"soon\""},
      {"piece-size = 16M", "1: the text of 'piece-size' needs quotes: write piece-size = \"16M\""},
      {"after-publish = echo \"a\\b\"",
       "1: the text of 'after-publish' needs quotes: "
       "write after-publish = \"echo \\\"a\\\\b\\\"\""},
      {"source-root = /data1/rsync_data",
       "1: the text of 'source-root' needs quotes: write source-root = \"/data1/rsync_data\""},
      {"source-root = [/a]",
       "1: the text of 'source-root' needs quotes: write source-root = \"/a\""},
      {"prefix = [a]", "1: the text of 'prefix' needs quotes: write prefix = \"a\""},
      {"peers = 10.0.0.0/8, 11.0.0.0/8",
       "1: the text of 'peers' needs quotes: write peers = [\"10.0.0.0/8\", \"11.0.0.0/8\"]"},
      {"peers = 10.0.0.0/8 11.0.0.0/8",
       "1: the text of 'peers' needs quotes: write peers = [\"10.0.0.0/8\", \"11.0.0.0/8\"]"},
      {"peers = [10.0.0.0/8, \"11.0.0.0/8\"]",
       "1: the text of 'peers' needs quotes: write peers = [\"10.0.0.0/8\", \"11.0.0.0/8\"]"},
      {"peers = [\n  \"10.0.0.0/8\",\n  11.0.0.0/8,  # the rest\n]",
       "3: each text of 'peers' needs quotes: write \"11.0.0.0/8\","},
      {"owner = yes", "1: 'owner' is neither true nor false: write owner = true"},
      {"owner = no", "1: 'owner' is neither true nor false: write owner = false"},
      {"owner = True", "1: 'owner' is neither true nor false: write owner = true"},
      {"linger = 0115", "1: the text of 'linger' needs quotes: write linger = \"0115\""},
      {"prefix = a\x1b[31m", "1: this line holds the control character '\\x1b': delete it"},
  });
  EXPECT_THAT(refusal("after-publish = " + std::string(500, 'x')),
              EndsWith("write after-publish = \"VALUE\""));
}

TEST(ConfigText, NamesBothLinesOfARepeatedKey) {
  expect_refusals({
      {"linger = 1\nlinger = 2",
       "2: 'linger' has a value in line 1 already: delete one of the two"},
      {"linger = 1\n\nslots = 5\n \"linger\" = \"2s\" # again",
       "4: 'linger' has a value in line 1 already: delete one of the two"},
      {"owner = true\nowner = true",
       "2: 'owner' has a value in line 1 already: delete one of the two"},
  });
}

TEST(ConfigText, NamesEveryOtherMistake) {
  expect_refusals({
      {"linger =", "1: 'linger' has no value: give it one, or delete the line"},
      {"linger = # none\nslots = 5", "1: 'linger' has no value: give it one, or delete the line"},
      {"linger", "1: 'linger' has no value: give it one, or delete the line"},
      {"owner\nslots = 5", "1: 'owner' has no value: write owner = true"},
      {"linger: 115s", "1: 'linger' has no '=': write linger = \"115s\""},
      {"linger 115s", "1: 'linger' has no '=': write linger = \"115s\""},
      {"; a comment", "1: a comment begins with '#': replace the ';'"},
      {"linger = \"5s", "1: the text of 'linger' has no end: close it with \" in the same line"},
      {"linger = '5s\nslots = 5",
       "1: the text of 'linger' has no end: close it with ' in the same line"},
      {"after-publish = \"\"\"\ntouch a\n",
       "1: the text of 'after-publish' has no end: close it with \"\"\""},
      {"slots = 5\nafter-publish = '''\ntouch a\nlinger = 5",
       "2: the text of 'after-publish' has no end: close it with '''"},
      {"peers = [\n\"10.0.0.0/8\",\n", "1: the array of 'peers' has no end: close it with ]"},
      {"slots = 5\npeers = [\n\"10.0.0.0/8\"\nlinger = 5",
       "2: the array of 'peers' has no end: close it with ]"},
      {"after-publish = \"grep \\d x\"",
       "1: in double quotes a backslash begins an escape sequence: "
       "write after-publish = 'grep \\d x'"},
      {"linger = \"5s\" \"x\"",
       "1: the line of 'linger' is no TOML (expected a comment or whitespace, saw '\"'): correct "
       "it"},
      {"slots = 5\n= 3",
       "2: this line is no TOML (expected keys, tables, whitespace or comments, saw '='): "
       "correct it"},
      {"# \xff", "1: this line is no TOML (Encountered invalid utf-8 sequence): correct it"},
  });
}

TEST(ConfigText, ShowsNoPassword) {
  for (const auto* const text :
       {"redis = redis://u:s3cret@h/0", "redis: redis://u:s3cret@h/0",
        "redis = [redis://u:s3cret@h/0]", "redis = [\nredis://u:s3cret@h/0\n]",
        "redis = \"redis://u:s3cret@h/0", "redis = [\"redis://u:s3cret@h/0\", 1]"}) {
    EXPECT_THAT(refusal(text), StartsWith("sync.toml:")) << text;
    EXPECT_THAT(refusal(text), Not(HasSubstr("s3cret"))) << text;
  }
  EXPECT_EQ(refusal("redis = redis://u@h/0"),
            "sync.toml:1: the text of 'redis' needs quotes: write redis = \"redis://u@h/0\"");
}

// Parses every damaged text: it gives values, or a refusal of one line.
TEST(ConfigText, RefusesAnyDamageInOneLine) {
  const std::string text =
      "redis = \"redis://10.0.0.1\"\n"
      "source-root = [\n  \"/a\",\n  '/b',  # c\n]\n"
      "after-publish = \"\"\"\ntouch a\n\"\"\"\n"
      "linger = \"1\\u00315s\" # d\n"
      "slots = 5\nowner = true\n"
      "peers = [\"10.0.0.0/8\", \"11.0.0.0/8\"]\n";
  ASSERT_EQ(refusal(text), "");
  std::size_t refusals = 0;
  const auto expect_one_line = [&](const std::string& damaged) {
    auto message = refusal(damaged);
    if (!message.empty()) ++refusals;
    EXPECT_LT(message.size(), 300U) << message;
    message.erase(std::remove(message.begin(), message.end(), '\\'), message.end());
    EXPECT_EQ(message, escaped(message)) << damaged;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    expect_one_line(text.substr(0, i));
    expect_one_line(text.substr(i));
    for (const auto* const put :
         {"", "\"", "'", "[", "]", "=", "\n", "#", "\\", ",", "\xff", "x"}) {
      auto damaged = text;
      expect_one_line(damaged.replace(i, 1, put));
    }
  }
  EXPECT_GT(refusals, text.size() * 4);
}

class ConfigOnDisk : public testing::Test {
 protected:
  [[nodiscard]] std::string refusal() const {
    try {
      static_cast<void>(read_config(path_));
      return {};
    } catch (const UsageError& error) {
      return error.what();
    }
  }

  test::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "sync.toml";
};

TEST_F(ConfigOnDisk, IsReadThroughLinksAndFromPipes) {
  EXPECT_EQ(read_config(path_), std::nullopt);
  EXPECT_EQ(read_config(path_ / "below"), std::nullopt);
  test::write_file(path_, std::string(10'000, '\n') + "slots = 5");
  EXPECT_EQ(read_config(path_), test::content_of(path_));
  EXPECT_EQ(read_config(path_ / "below"), std::nullopt);
  std::filesystem::create_symlink("sync.toml", folder_.path() / "link");
  EXPECT_EQ(read_config(folder_.path() / "link"), test::content_of(path_));
  const auto pipe = folder_.path() / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::thread writer([&] { test::write_file(pipe, "slots = 5"); });
  EXPECT_EQ(read_config(pipe), "slots = 5");
  writer.join();
}

TEST_F(ConfigOnDisk, IsNamedWithTheCauseIfItCannotBeRead) {
  const std::string way_out = ": let this user read it, or name another file by --config";
  std::filesystem::create_directory(path_);
  EXPECT_EQ(refusal(), "cannot read '" + path_.string() + "': Is a directory" + way_out);
  std::filesystem::remove(path_);
  std::filesystem::create_symlink("sync.toml", path_);
  EXPECT_EQ(refusal(),
            "cannot read '" + path_.string() + "': Too many levels of symbolic links" + way_out);
  std::filesystem::remove(path_);
  test::write_file(path_, std::string((1U << 20U) + 1, '\n'));
  EXPECT_EQ(refusal(), "cannot read '" + path_.string() + "': it has more than 1 MB" + way_out);
  std::filesystem::remove(path_);
  test::write_file(path_, "slots = 5");
  ASSERT_EQ(chmod(path_.c_str(), 0), 0);
  EXPECT_TRUE(test::holds_for_ordinary_user([&] {
    return refusal() == "cannot read '" + path_.string() + "': Permission denied" + way_out;
  }));
  ASSERT_EQ(chmod(path_.c_str(), 0644), 0);
  EXPECT_TRUE(test::holds_for_ordinary_user([&] { return refusal().empty(); }));
}

// toml++ 3.3 relies on the absence of these characters before it checks for them.
TEST(ConfigText, RefusesCharactersThatTomlHasNowhere) {
  const auto with = [](std::string text, char control) {
    std::replace(text.begin(), text.end(), '?', control);
    return refusal(text);
  };
  for (const auto* const text : {"slots = 5\n[?", "slots = 5\n?", "slots = 5\n# ?",
                                 "slots = 5\nprefix = \"?\"", "slots = 5\nprefix = '?'"}) {
    const std::string message = "sync.toml:2: this line holds the control character ";
    EXPECT_EQ(with(text, '\x01'), message + "'\\x01': delete it") << text;
    EXPECT_EQ(with(text, '\x7f'), message + "'\\x7f': delete it") << text;
    EXPECT_EQ(with(text, '\0'), message + "'\\x00': delete it") << text;
  }
}

// For toml++ 3.3 they may be white space: it asks about each, and has no answer for some.
TEST(ConfigText, RefusesCharactersBeyondAsciiBehindABackslash) {
  for (const auto* const text : {"\\\xcf\x96", "\\ \xcf\x96", "\\\n\xcf\x96", "\\\n \t\n \xcf\x96",
                                 "\\\\\\\xcf\x96", "\\\n\\\xcf\x96"}) {
    EXPECT_THAT(refusal("prefix = \"\"\"" + std::string(text) + "\"\"\""),
                HasSubstr("a character beyond ASCII outside of quotes or behind a backslash"))
        << text;
  }
  EXPECT_EQ(parsed("prefix = \"\"\"\\\\\xcf\x96\"\"\"").at(0).values.at(0), "\\\xcf\x96");
  EXPECT_EQ(parsed("prefix = \"\"\"\\\n a\xcf\x96\"\"\"").at(0).values.at(0), "a\xcf\x96");
  EXPECT_EQ(parsed("prefix = '''\\\n\xcf\x96'''").at(0).values.at(0), "\\\n\xcf\x96");
  EXPECT_EQ(parsed("# \\\xcf\x96 \\ \xcf\x96\nprefix = 'a'").at(0).values.at(0), "a");
}

TEST(ConfigText, FindsStringsWhereTomlHasThem) {
  for (const auto* const text :
       {"hook.\"#\"\xcf\x96 = 1", "prefix = 1=\"\xcf\x96\"", "# one = two\nprefix = 1=\"\xcf\x96\"",
        "prefix == \"\xcf\x96\"", "prefix = 1e4A:/a.\"1k\xcf\x96# b"}) {
    EXPECT_NE(refusal(text), "") << text;
    EXPECT_THAT(refusal(text), Not(HasSubstr("undefined"))) << text;
  }
  EXPECT_EQ(parsed("# a = b\nprefix = \"\xcf\x96\"").at(0).values.at(0), "\xcf\x96");
  EXPECT_EQ(parsed("linger = \"=\"\nprefix = '\xcf\x96'").at(1).values.at(0), "\xcf\x96");
  EXPECT_EQ(parsed("linger = 5 # = #\nprefix = '\xcf\x96'").at(1).values.at(0), "\xcf\x96");
}

TEST(ConfigText, AcceptsCharactersBeyondAsciiInStringsAndCommentsAlone) {
  for (const auto* const text :
       {"prefix = \"\xcf\x96\"", "prefix = '\xcf\x96'", "prefix = \"\"\"\xcf\x96\"\"\"",
        "prefix = '''\xcf\x96'''", "prefix = \"\xcf\x96\" # \xcf\x96",
        "\xef\xbb\xbf# \xcf\x96\nprefix = '\xcf\x96'"}) {
    EXPECT_EQ(parsed(text).at(0).values.at(0), "\xcf\x96") << text;
  }
  EXPECT_EQ(parsed("prefix = \"\\\"\xcf\x96\"").at(0).values.at(0), "\"\xcf\x96");
  EXPECT_EQ(parsed("prefix = \"\"\"a\"\"\"\"\" # \xcf\x96").at(0).values.at(0), "a\"\"");
  EXPECT_EQ(parsed("# it's\nprefix = '\xcf\x96'").at(0).values.at(0), "\xcf\x96");
  expect_refusals({
      {"prefix = \xcf\x96", "1: the text of 'prefix' needs quotes: write prefix = \"\xcf\x96\""},
      {"prefix = 0\"\xef\xb7\xbf\"",
       "1: the text of 'prefix' needs quotes: write prefix = \"0\\\"\xef\xb7\xbf\\\"\""},
      {"peers = [\n  \"10.0.0.0/8\",\n  0f:\xcf\x96\n]",
       "3: each text of 'peers' needs quotes: write \"0f:\xcf\x96\","},
  });
}

}  // namespace
}  // namespace libsync
