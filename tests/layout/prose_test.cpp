// The rules of prose: comments in plain sentences, and words with one meaning.
//
// A comment names the actor as its subject, in sentences of at most 25 words. The glossary in
// include/libsync/run.h says what each word means; some words are banned from our identifiers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "comments.h"
#include "temporary_folder.h"

namespace libsync {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::filesystem::path kTop(SOURCE_FOLDER);
constexpr std::size_t kMostWords = 25;

// Folders that are read, with all below them.
const std::vector<std::string> kRead = {"include", "src", "tests"};

struct Exception {
  std::string path;
  std::string start;   // The first words of the sentence, or the identifier.
  std::string reason;  // Why the rule does not hold here.
};

const std::vector<Exception> kSentences = {};

const std::vector<Exception> kIdentifiers = {
    {"src/redis/functions/", "follow", "the name of a Redis function"},
    {"tests/functions/", "follow", "calls the function of that name"},
};

struct Source {
  std::string path;  // Below the top level.
  test::Language language;
  std::vector<test::ScannedLine> lines;
};

std::vector<std::string> lines_of(const std::string& content) {
  std::vector<std::string> lines;
  std::istringstream stream(content);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Nothing if the file is in none of the languages that `scan` knows.
std::optional<test::Language> language_of(const std::filesystem::path& path,
                                          const std::vector<std::string>& lines) {
  const auto extension = path.extension();
  if (extension == ".h" || extension == ".cpp") return test::Language::cpp;
  if (extension == ".lua") return test::Language::lua;
  if (extension == ".py") return test::Language::python;
  if (extension == ".sh" || path.filename() == "CMakeLists.txt") return test::Language::hash;
  static const std::regex shell("#!.*\\b(ba)?sh");
  if (!lines.empty() && std::regex_search(lines.front(), shell)) return test::Language::hash;
  return std::nullopt;
}

const std::vector<Source>& sources() {
  static const auto all = [] {
    std::vector<Source> found;
    for (const auto& folder : kRead) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(kTop / folder)) {
        if (!entry.is_regular_file()) continue;
        const auto lines = lines_of(test::content_of(entry.path()));
        const auto language = language_of(entry.path(), lines);
        if (!language) continue;
        found.push_back(
            {entry.path().lexically_relative(kTop), *language, test::scan(lines, *language)});
      }
    }
    return found;
  }();
  return all;
}

bool is_excepted(const std::vector<Exception>& exceptions, const std::string& path,
                 const std::string& text) {
  return std::any_of(exceptions.begin(), exceptions.end(), [&](const Exception& exception) {
    return path.starts_with(exception.path) && text.starts_with(exception.start);
  });
}

// An identifier is excepted as a whole.
bool is_excepted(const std::string& path, const std::string& identifier) {
  return std::any_of(kIdentifiers.begin(), kIdentifiers.end(), [&](const Exception& exception) {
    return path.starts_with(exception.path) && identifier == exception.start;
  });
}

// Why the rules refuse a sentence; empty if they do not.
std::string fault_of(const test::Sentence& sentence) {
  static const std::regex opener("^[^A-Za-z`]*(who|whoever|what|whatever|whose|of)\\b",
                                 std::regex::icase);
  static const std::regex passive(
      "\\b(is|are|was|were|be|been|being)( (not|never|also|then|only))? (said|told|mended)\\b|"
      "\\b(told|mended)\\b",
      std::regex::icase);
  if (std::regex_search(sentence.text, passive)) return "names no actor";
  if (sentence.is_verbatim) return "";
  if (std::regex_search(sentence.text, opener)) return "opens without its subject";
  const auto words = test::count_words(sentence.text);
  return words > kMostWords ? "has " + std::to_string(words) + " words" : "";
}

// Why a word may not be part of an identifier of ours; empty if it may.
std::string fault_of(const std::string& identifier) {
  static const std::set<std::string> banned = {
      "take", "takes", "taken",  "taking", "follow", "follows", "followed", "following",
      "look", "looks", "looked", "told",   "stand",  "stands",  "stood",    "gone"};
  for (const auto& part : test::parts_of(identifier)) {
    if (banned.contains(part)) return "holds the banned word " + part;
  }
  return "";
}

TEST(Prose, CommentsAreWrittenInPlainSentences) {
  std::size_t sentences = 0;
  for (const auto& source : sources()) {
    for (const auto& sentence : test::sentences_of(source.lines)) {
      ++sentences;
      if (is_excepted(kSentences, source.path, sentence.text)) continue;
      EXPECT_EQ(fault_of(sentence), "")
          << source.path << ":" << sentence.line << ": " << sentence.text;
    }
  }
  EXPECT_GT(sentences, 1000U);
}

TEST(Prose, IdentifiersHoldNoBannedWord) {
  std::size_t identifiers = 0;
  for (const auto& source : sources()) {
    for (std::size_t i = 0; i < source.lines.size(); ++i) {
      for (const auto& identifier : test::identifiers_of(source.lines[i].code)) {
        ++identifiers;
        if (is_excepted(source.path, identifier)) continue;
        EXPECT_EQ(fault_of(identifier), "") << source.path << ":" << i + 1 << ": " << identifier;
      }
    }
  }
  EXPECT_GT(identifiers, 10'000U);
}

// An exception that excepts nothing any more must go.
TEST(Prose, EveryExceptionIsNeeded) {
  for (const auto& exception : kSentences) {
    EXPECT_FALSE(exception.reason.empty());
    EXPECT_TRUE(std::any_of(sources().begin(), sources().end(),
                            [&](const Source& source) {
                              const auto sentences = test::sentences_of(source.lines);
                              return std::any_of(sentences.begin(), sentences.end(),
                                                 [&](const test::Sentence& sentence) {
                                                   return is_excepted({exception}, source.path,
                                                                      sentence.text) &&
                                                          !fault_of(sentence).empty();
                                                 });
                            }))
        << exception.path << ": " << exception.start;
  }
  for (const auto& exception : kIdentifiers) {
    EXPECT_FALSE(exception.reason.empty());
    EXPECT_FALSE(fault_of(exception.start).empty()) << exception.start;
    EXPECT_TRUE(std::any_of(
        sources().begin(), sources().end(),
        [&](const Source& source) {
          return source.path.starts_with(exception.path) &&
                 std::any_of(source.lines.begin(), source.lines.end(), [&](const auto& line) {
                   return line.code.find(exception.start) != std::string::npos;
                 });
        }))
        << exception.path << ": " << exception.start;
  }
}

TEST(Prose, AThirdToAHalfOfAllHeadersIsComment) {
  std::size_t lines = 0;
  std::size_t comments = 0;
  for (const auto& source : sources()) {
    if (!source.path.ends_with(".h") || source.path.starts_with("tests")) continue;
    for (const auto& line : source.lines) {
      const bool has_code = line.code.find_first_not_of(" \t") != std::string::npos;
      if (!has_code && line.marker.empty()) continue;
      ++lines;
      if (!has_code) ++comments;
    }
  }
  EXPECT_GE(comments * 100, lines * 30) << comments << " of " << lines;
  EXPECT_LE(comments * 100, lines * 50) << comments << " of " << lines;
}

// --- The rules themselves ---

TEST(Prose, ASentenceThatBreaksARuleIsRefused) {
  const auto fault = [](const std::string& text) { return fault_of(test::Sentence{1, text}); };
  for (const auto* const text :
       {"Who waits gets a seat.", "What it holds.", "Whose parent it is.", "Of a link, verbatim.",
        "Whatever comes from Redis is hostile.", "(Whoever calls it must wait.)",
        "The host is told its seat.", "It was said to have it.", "A wrong type is mended.",
        "So it is not said twice.", "--- What has come ---"}) {
    EXPECT_NE(fault(text), "") << text;
  }
  std::string words = "Each";
  for (std::size_t i = 1; i < kMostWords; ++i) words += " word";
  EXPECT_EQ(fault(words + "."), "");
  EXPECT_NE(fault(words + " more."), "");
  for (const auto* const text :
       {"A host says what it has.", "`Of` opens a set.", "Offers lapse.", "Whole pieces move."}) {
    EXPECT_EQ(fault(text), "") << text;
  }
}

TEST(Prose, ABannedWordInAnIdentifierIsRefused) {
  for (const auto* const name : {"take_report", "follow", "TOLD_FIELDS", "kTakeAll", "is_gone",
                                 "looked_at", "stand_by", "takeOver"}) {
    EXPECT_NE(fault_of(name), "") << name;
  }
  for (const auto* const name : {"mistake", "Standing", "lookup", "outlook", "k_stake"}) {
    EXPECT_EQ(fault_of(name), "") << name;
  }
}

TEST(Prose, SentencesAreCutAtTheirEnds) {
  EXPECT_THAT(test::cut_sentences("One. two! Three? (Four.) `a. b` is five."),
              ElementsAre("One.", "two!", "Three?", "(Four.)", "`a. b` is five."));
  EXPECT_THAT(test::cut_sentences("Some, e.g. these, of M. Castro take 1.5 ms in file.cpp … here"),
              ElementsAre("Some, e.g. these, of M. Castro take 1.5 ms in file.cpp … here"));
  EXPECT_THAT(test::cut_sentences(""), IsEmpty());
  EXPECT_EQ(test::count_words("A host - `set task x` - has 1.5 pieces …"), 6U);
}

std::vector<std::string> texts_of(const std::string& content, test::Language language) {
  std::vector<std::string> texts;
  for (auto& sentence : test::sentences_of(test::scan(lines_of(content), language))) {
    texts.push_back((sentence.is_verbatim ? "| " : "") + sentence.text);
  }
  return texts;
}

TEST(Prose, CommentLinesAreJoined) {
  EXPECT_THAT(texts_of("// One goes\n// on. Two\n//\n// Three\nint x;  ///< Four goes\n"
                       "        ///< on.\n// Five",
                       test::Language::cpp),
              ElementsAre("One goes on.", "Two", "Three", "Four goes on.", "Five"));
  EXPECT_THAT(texts_of("// List:\n//\n// - one goes\n//   on\n// - two\n// End.\n//   a  table\n",
                       test::Language::cpp),
              ElementsAre("List:", "one goes on", "two", "End.", "| a  table"));
  EXPECT_THAT(texts_of("local A = 1  -- One goes\n             -- on.\nlocal B = 2  -- Two.",
                       test::Language::lua),
              ElementsAre("One goes on.", "Two."));
  EXPECT_THAT(texts_of("#!/bin/sh\n# One.\necho \"# no\" ${#x} # Two.", test::Language::hash),
              ElementsAre("One.", "Two."));
}

TEST(Prose, StringsAreNoComments) {
  EXPECT_THAT(
      texts_of("url = \"redis://x\"; c = '\"'; n = 1'000; // One.\nR\"x(\n// no\n)x\"; // Two.",
               test::Language::cpp),
      ElementsAre("One.", "Two."));
  EXPECT_THAT(texts_of("x = '--' .. \"--\\\"--\" -- One.", test::Language::lua),
              ElementsAre("One."));
  const auto lines = test::scan({"f(\"take\"); // take"}, test::Language::cpp);
  EXPECT_THAT(test::identifiers_of(lines.front().code), ElementsAre("f"));
}

TEST(Prose, DocstringsAreComments) {
  EXPECT_THAT(
      texts_of("\"\"\"One.\"\"\"\n"
               "def f():\n"
               "    \"\"\"Two goes\n"
               "    on. Isn't # no comment.\n"
               "\n"
               "      a  table\n"
               "    \"\"\"\n"
               "    return '# no'  # Three.\n"
               "TEXT = \"\"\"\n"
               "  # no\n"
               "\"\"\"  # Four.\n",
               test::Language::python),
      ElementsAre("One.", "Two goes on.", "Isn't # no comment.", "| a  table", "Three.", "Four."));
}

TEST(Prose, DirectivesOfToolsAreLeftOut) {
  EXPECT_THAT(
      texts_of("// NOLINTNEXTLINE(what.ever)\n// clang-format off\n// One.", test::Language::cpp),
      ElementsAre("One."));
}

}  // namespace
}  // namespace libsync
