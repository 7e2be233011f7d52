#include "os/log.h"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <random>
#include <regex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "temporary_folder.h"

namespace libsync {
namespace {

using namespace std::string_view_literals;

TEST(LogLevel, IsOneOfFourWords) {
  EXPECT_EQ(parse_log_level("debug"), LogLevel::debug);
  EXPECT_EQ(parse_log_level("info"), LogLevel::info);
  EXPECT_EQ(parse_log_level("warning"), LogLevel::warning);
  EXPECT_EQ(parse_log_level("error"), LogLevel::error);
  for (const auto* const text : {"", "Info", "INFO", "warn", "err", "trace", "off", "info ", "1"}) {
    EXPECT_FALSE(parse_log_level(text)) << text;
  }
}

TEST(Log, NamesProblemsByAWord) {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "log";
  start_log(LogLevel::debug, file);
  spdlog::debug("a");
  spdlog::info("b");
  spdlog::warn("c");
  spdlog::error("d");
  spdlog::critical("e");
  start_log(LogLevel::info, std::nullopt);
  const std::regex stamp("(^|\n)[0-9]{2}-[A-Z][a-z]{2}-[0-9]{2} [0-9:]{8}");
  EXPECT_EQ(std::regex_replace(test::content_of(file), stamp, "$1DATE"),
            "DATE - a\nDATE - b\nDATE - warning: c\nDATE - error: d\nDATE - error: e\n");
}

TEST(Log, CountsProblemsThatRepeat) {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "log";
  start_log(LogLevel::info, file);
  for (int i = 0; i < 4; ++i) {
    spdlog::info("again");
    spdlog::warn("c");
    spdlog::error("c");
  }
  spdlog::warn("d");
  end_log();
  spdlog::warn("c");
  start_log(LogLevel::info, std::nullopt);
  const std::regex stamp("(^|\n)[0-9]{2}-[A-Z][a-z]{2}-[0-9]{2} [0-9:]{8}");
  EXPECT_EQ(std::regex_replace(test::content_of(file), stamp, "$1DATE"),
            "DATE - again\nDATE - warning: c\nDATE - error: c\n"
            "DATE - again\nDATE - again\nDATE - again\nDATE - warning: d\n"
            "DATE - warning: c … 3 times more in 0 s\nDATE - error: c … 3 times more in 0 s\n"
            "DATE - warning: c\n");
}

TEST(Escaped, LeavesPlainTextAlone) {
  for (const auto text : {""sv, "plain"sv, " two  spaces "sv, "/data/'\"$`*?%s{}"sv, "~}!"sv,
                          "\xc2\xa0"sv,  // U+00A0, the first one that is no control character.
                          "\xc3\xa4 \xdf\xbf"sv,          // The last one of two bytes.
                          "\xe0\xa0\x80 \xe6\xbc\xa2"sv,  // The first one of three bytes.
                          "\xed\x9f\xbf \xee\x80\x80"sv,  // On both sides of the surrogates.
                          "\xef\xbf\xbf"sv,               // The last of three bytes.
                          "\xf0\x90\x80\x80 \xf0\x9f\x8e\x84"sv, "\xf4\x8f\xbf\xbf"sv}) {
    EXPECT_EQ(escaped(text), text);
  }
}

TEST(Escaped, WritesControlCharactersAsText) {
  for (const auto& [text, expected] : std::vector<std::pair<std::string_view, std::string_view>>{
           {"\n"sv, "\\n"},
           {"\t"sv, "\\t"},
           {"\r"sv, "\\x0d"},
           {"\0"sv, "\\x00"},
           {"a\0b"sv, "a\\x00b"},
           {"\x07\x08\x1f"sv, "\\x07\\x08\\x1f"},
           {"\x7f"sv, "\\x7f"},
           {"\x1b[31mred\x1b[0m"sv, "\\x1b[31mred\\x1b[0m"},
           {"\x1b]0;title\x07"sv, "\\x1b]0;title\\x07"},
           {"one\ntwo"sv, "one\\ntwo"},
           // Text that looks like an escaped byte.
           {"\\"sv, "\\\\"},
           {"\\n"sv, "\\\\n"},
           {"\\x1b"sv, "\\\\x1b"},
           // C1 control characters: as bytes, and in UTF-8.
           {"\x80"sv, "\\x80"},
           {"\x9b"sv, "\\x9b"},
           {"\xc2\x80"sv, "\\xc2\\x80"},
           {"\xc2\x9b"
            "31m"sv,
            "\\xc2\\x9b31m"},
           {"\xc2\x9f"sv, "\\xc2\\x9f"}}) {
    EXPECT_EQ(escaped(text), expected);
  }
}

// They would show "exe.txt" for "txt.exe", or two lines for one.
TEST(Escaped, WritesControlsOfBidirectionalTextAndOfLinesAsText) {
  for (const auto& [text, expected] : std::vector<std::pair<std::string_view, std::string_view>>{
           {"\xd8\x9c"sv, "\\xd8\\x9c"},  // U+061C
           {"\xe2\x80\x8e\xe2\x80\x8f"sv, "\\xe2\\x80\\x8e\\xe2\\x80\\x8f"},
           {"\xe2\x80\xa8"sv, "\\xe2\\x80\\xa8"},  // U+2028
           {"a\xe2\x80\xae"
            "b"sv,
            "a\\xe2\\x80\\xaeb"},  // U+202E
           {"\xe2\x81\xa6\xe2\x81\xa9"sv, "\\xe2\\x81\\xa6\\xe2\\x81\\xa9"}}) {
    EXPECT_EQ(escaped(text), expected);
  }
  // Their neighbours: U+061B, U+200D (in emoji), U+2027, U+202F, U+2065, U+206A.
  for (const auto text : {"\xd8\x9b"sv, "\xe2\x80\x8d"sv, "\xe2\x80\xa7"sv, "\xe2\x80\xaf"sv,
                          "\xe2\x81\xa5"sv, "\xe2\x81\xaa"sv}) {
    EXPECT_EQ(escaped(text), text);
  }
}

TEST(Escaped, WritesBytesThatAreNotUtf8OneByOne) {
  for (const auto& [text, expected] : std::vector<std::pair<std::string_view, std::string_view>>{
           // Truncated, at the end and before other text.
           {"\xc3"sv, "\\xc3"},
           {"\xe6\xbc"sv, "\\xe6\\xbc"},
           {"\xf0\x9f\x8e"sv, "\\xf0\\x9f\\x8e"},
           {std::string_view("\xc3\xa4", 1), "\\xc3"},  // The rest lies behind its end.
           {"\xc3 x"sv, "\\xc3 x"},
           {"\xe6\xbcx"sv, "\\xe6\\xbcx"},
           {"\xe6x\xa2"sv, "\\xe6x\\xa2"},
           {"\xf0\x9f\x8ex"sv, "\\xf0\\x9f\\x8ex"},
           {"\xc3\xc3\xa4"sv, "\\xc3\xc3\xa4"},
           {"\xe6\n"sv, "\\xe6\\n"},
           {"\xe6\xbc\xc3\xa4"sv, "\\xe6\\xbc\xc3\xa4"},
           // Overlong: '/', NUL and others in more bytes than needed.
           {"\xc0\xaf"sv, "\\xc0\\xaf"},
           {"\xc1\xbf"sv, "\\xc1\\xbf"},
           {"\xe0\x80\xaf"sv, "\\xe0\\x80\\xaf"},
           {"\xe0\x9f\xbf"sv, "\\xe0\\x9f\\xbf"},
           {"\xf0\x80\x80\xaf"sv, "\\xf0\\x80\\x80\\xaf"},
           {"\xf0\x8f\xbf\xbf"sv, "\\xf0\\x8f\\xbf\\xbf"},
           // Surrogates, beyond U+10FFFF, and bytes that never occur.
           {"\xed\xa0\x80"sv, "\\xed\\xa0\\x80"},
           {"\xed\xbf\xbf"sv, "\\xed\\xbf\\xbf"},
           {"\xf4\x90\x80\x80"sv, "\\xf4\\x90\\x80\\x80"},
           {"\xf5\x80\x80\x80"sv, "\\xf5\\x80\\x80\\x80"},
           {"\xfe\xff"sv, "\\xfe\\xff"},
           {"\xbf"sv, "\\xbf"},
           {"\xc3\xa4\xa4"sv, "\xc3\xa4\\xa4"}}) {
    EXPECT_EQ(escaped(text), expected);
  }
}

// Undoes escaped(): no byte is lost, and no two texts become equal.
std::string unescaped(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      plain += text[i];
    } else if (text.at(++i) == 'x') {
      plain += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      plain += text[i] == 'n' ? '\n' : text[i] == 't' ? '\t' : text[i];
    }
  }
  return plain;
}

TEST(Escaped, IsOneLineThatCanBeReadBackForAnyBytes) {
  std::mt19937 random(99);  // NOLINT(cert-msc*): the same bytes every time.
  const std::string_view likely("\\xn\xc2\x80\xe0\xa0\xed\x9f\xf0\x90\xf4\x8f", 13);
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (auto left = random() % 12; left > 0; --left) {
      text += round % 2 == 0 ? likely[random() % likely.size()] : static_cast<char>(random());
    }
    const auto safe = escaped(text);
    EXPECT_EQ(unescaped(safe), text);
    for (const char c : safe) {
      const auto byte = static_cast<unsigned char>(c);
      ASSERT_TRUE(byte >= 0x20 && byte != 0x7f);
    }
  }
}

TEST(StartLog, FailsIfTheFileCannotBeOpened) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "file", "");
  try {
    start_log(LogLevel::info, folder.path() / "file" / "log");
    FAIL() << "a log below a file";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.status(), ExitStatus::local);
    EXPECT_EQ(failure.remedy(), Remedy::operator_acts);
    EXPECT_EQ(std::string_view(failure.what()).find('\n'), std::string_view::npos);
  }
}

}  // namespace
}  // namespace libsync
