#pragma once

// Splits a source file into code and comments, and comments into sentences.
//
// It knows C++, Lua, Python, and the languages whose comments begin with `#` (shell, CMake).
// Strings are no comments and no code: a URL or a message in quotes is never read as prose. The
// docstrings of Python are comments.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace libsync::test {

enum class Language { cpp, lua, python, hash };

/// One line of a source file.
struct ScannedLine {
  std::string code;        ///< Without its comment; the content of strings is blanked out.
  std::string marker;      ///< `//`, `///`, `///<`, `--`, `#` or `"""`; empty without a comment.
  std::string comment;     ///< The text after the marker.
  std::size_t column = 0;  ///< Position of the marker.
};

[[nodiscard]] std::vector<ScannedLine> scan(const std::vector<std::string>& lines,
                                            Language language);

struct Sentence {
  std::size_t line = 0;  ///< Line number of the comment block that the sentence is part of.
  std::string text;
  bool is_verbatim = false;  ///< A line of a table, diagram or example.
};

/// All sentences of the comments, in order.
///
/// A block is a run of comment lines with one marker in one column; a comment after code begins a
/// new block. Lines of a block are joined. A blank comment line, a bullet (`- `, `1. `) and the end
/// of a bullet's text end a sentence.
///
/// A line that is indented by two blanks or more, and that continues no bullet, is verbatim.
/// Tables, diagrams and code examples are written so.
///
/// Directives of tools (NOLINT, clang-format, shellcheck) and the `#!` line are left out.
[[nodiscard]] std::vector<Sentence> sentences_of(const std::vector<ScannedLine>& lines);

/// Cuts a paragraph into sentences. Text in backticks is never cut, nor are abbreviations.
[[nodiscard]] std::vector<std::string> cut_sentences(std::string_view paragraph);

/// Words that hold a letter or a digit. Text in backticks counts as one.
[[nodiscard]] std::size_t count_words(std::string_view sentence);

/// The identifiers in code, once for each use.
[[nodiscard]] std::vector<std::string> identifiers_of(std::string_view code);

/// Parts of an identifier in lower case: `kTakeAll` and `take_all` give `take` and `all`.
[[nodiscard]] std::vector<std::string> parts_of(std::string_view identifier);

}  // namespace libsync::test
