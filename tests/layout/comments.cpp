#include "comments.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace libsync::test {
namespace {

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_blank(char c) { return c == ' ' || c == '\t'; }

constexpr std::string_view kTripleQuote = "\"\"\"";

// Walks through a file character by character. Raw strings of C++, and strings in three quotes of
// Python, may span lines. A docstring is such a string that begins a line.
class Scanner {
 public:
  explicit Scanner(Language language) : language_(language) {}

  ScannedLine read(const std::string& line) {
    ScannedLine result;
    if (continues_docstring(line)) {
      read_docstring(line, result);
      return result;
    }
    for (std::size_t at = 0; at < line.size();) {
      if (!raw_end_.empty()) {
        at = skip_raw(line, at, result.code);
      } else if (starts_comment(line, at)) {
        set_comment(line, at, result);
        break;
      } else if (starts_raw(line, at)) {
        raw_end_ = raw_end_of(line, at);
        at = skip_raw(line, at + raw_end_.size(), result.code);
      } else if (starts_string(line, at)) {
        at = skip_string(line, at, result.code);
      } else {
        result.code += line[at++];
      }
    }
    return result;
  }

 private:
  [[nodiscard]] bool starts_comment(const std::string& line, std::size_t at) const {
    switch (language_) {
      case Language::cpp:
        return line.compare(at, 2, "//") == 0;
      case Language::lua:
        return line.compare(at, 2, "--") == 0;
      case Language::python:
      case Language::hash:
        break;
    }
    return line[at] == '#' && (at == 0 || is_blank(line[at - 1])) && line.compare(at, 2, "#!") != 0;
  }

  // Opens the docstring that begins on this line, if one does.
  [[nodiscard]] bool continues_docstring(const std::string& line) {
    if (language_ != Language::python || is_docstring_ || !raw_end_.empty()) return is_docstring_;
    const auto first = std::min(line.find_first_not_of(' '), line.size());
    if (line.compare(first, kTripleQuote.size(), kTripleQuote) != 0) return false;
    docstring_column_ = first;
    return true;
  }

  void read_docstring(const std::string& line, ScannedLine& result) {
    const auto quotes = is_docstring_ ? 0 : kTripleQuote.size();
    const auto begin = std::min(docstring_column_ + quotes, line.size());
    const auto end = line.find(kTripleQuote, begin);
    is_docstring_ = end == std::string::npos;
    result.marker = kTripleQuote;
    result.column = docstring_column_;
    result.comment = line.substr(begin, is_docstring_ ? end : end - begin);
  }

  [[nodiscard]] std::string raw_end_of(const std::string& line, std::size_t at) const {
    if (language_ == Language::python) return std::string(kTripleQuote);
    return ")" + line.substr(at + 2, line.find('(', at) - at - 2) + "\"";
  }

  [[nodiscard]] bool starts_raw(const std::string& line, std::size_t at) const {
    if (language_ == Language::python) {
      return line.compare(at, kTripleQuote.size(), kTripleQuote) == 0;
    }
    return language_ == Language::cpp && line.compare(at, 2, "R\"") == 0 &&
           line.find('(', at) != std::string::npos;
  }

  // An apostrophe in a number separates digits.
  [[nodiscard]] bool starts_string(const std::string& line, std::size_t at) const {
    if (line[at] == '"') return true;
    const bool is_separator = language_ == Language::cpp && at > 0 && is_word(line[at - 1]);
    return line[at] == '\'' && !is_separator;
  }

  static std::size_t skip_string(const std::string& line, std::size_t at, std::string& code) {
    const char quote = line[at++];
    code += quote;
    for (; at < line.size() && line[at] != quote; ++at) {
      code += ' ';
      if (line[at] == '\\' && at + 1 < line.size()) {
        code += ' ';
        ++at;
      }
    }
    if (at < line.size()) code += quote;
    return at + 1;
  }

  std::size_t skip_raw(const std::string& line, std::size_t at, std::string& code) {
    const auto end = line.find(raw_end_, at);
    if (end == std::string::npos) return line.size();
    code += "\"\"";
    const auto next = end + raw_end_.size();
    raw_end_.clear();
    return next;
  }

  void set_comment(const std::string& line, std::size_t at, ScannedLine& result) const {
    result.column = at;
    const bool is_hash = language_ == Language::hash || language_ == Language::python;
    auto end = at + (is_hash ? 1 : 2);
    if (language_ == Language::cpp && line.compare(at, 3, "///") == 0) ++end;
    if (language_ == Language::cpp && line.compare(at, 4, "///<") == 0) ++end;
    result.marker = line.substr(at, end - at);
    result.comment = line.substr(end);
  }

  Language language_;
  std::string raw_end_;  // Ends the raw string that is open; empty if none is.
  bool is_docstring_ = false;
  std::size_t docstring_column_ = 0;
};

bool is_directive(std::string_view text) {
  constexpr std::array<std::string_view, 3> kTools = {"NOLINT", "clang-format ", "shellcheck "};
  const auto first = std::min(text.find_first_not_of(' '), text.size());
  text.remove_prefix(first);
  return std::any_of(kTools.begin(), kTools.end(),
                     [&](std::string_view tool) { return text.starts_with(tool); });
}

// Length of `- `, `* ` or `12. ` at the start; 0 if the text is no bullet.
std::size_t bullet_length(std::string_view text) {
  if (text.starts_with("- ") || text.starts_with("* ")) return 2;
  const auto digits = text.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string_view::npos || digits > 2) return 0;
  return text.substr(digits, 2) == ". " ? digits + 2 : 0;
}

// Joins the lines of one comment block into paragraphs.
class Block {
 public:
  explicit Block(std::vector<Sentence>& sentences) : sentences_(sentences) {}

  void begin(std::size_t line) {
    end_paragraph();
    bullet_indent_ = 0;
    line_ = line;
  }

  void add(std::string_view text) {
    if (is_directive(text)) return;
    const auto indent = text.find_first_not_of(' ');
    if (indent == std::string_view::npos) return end_paragraph();
    text.remove_prefix(indent);
    const auto bullet = bullet_length(text);
    if (bullet > 0 && indent <= 1) {
      end_paragraph();
      bullet_indent_ = indent + bullet;
      paragraph_ = text.substr(bullet);
    } else if (indent <= 1) {
      if (bullet_indent_ > 0) end_paragraph();
      append(text);
    } else if (bullet_indent_ > 0 && indent == bullet_indent_) {
      append(text);
    } else {
      end_paragraph();
      sentences_.push_back({line_, std::string(text), true});
    }
  }

  void end_paragraph() {
    for (auto& text : cut_sentences(paragraph_)) sentences_.push_back({line_, std::move(text)});
    paragraph_.clear();
    bullet_indent_ = 0;
  }

 private:
  void append(std::string_view text) {
    if (!paragraph_.empty()) paragraph_ += ' ';
    paragraph_ += text;
  }

  std::vector<Sentence>& sentences_;
  std::string paragraph_;
  std::size_t line_ = 0;
  std::size_t bullet_indent_ = 0;  // Where the text of the bullet begins; 0 outside of bullets.
};

// Blanks and dots within backticks must not cut.
std::string with_closed_code(std::string_view text) {
  std::string closed(text);
  bool is_code = false;
  for (char& c : closed) {
    if (c == '`') is_code = !is_code;
    if (is_code && c == ' ') c = '\x01';
  }
  return is_code ? std::string(text) : closed;  // An odd backtick closes nothing.
}

std::string with_open_code(std::string text) {
  std::replace(text.begin(), text.end(), '\x01', ' ');
  return text;
}

// Whether the word that ends with the dot at `dot` goes on.
bool is_abbreviation(std::string_view text, std::size_t dot) {
  constexpr std::array<std::string_view, 8> kKnown = {"e.g", "i.e",  "etc", "vs",
                                                      "cf",  "resp", "ca",  "approx"};
  auto begin = dot;
  while (begin > 0 && !is_blank(text[begin - 1])) --begin;
  auto word = text.substr(begin, dot - begin);
  while (!word.empty() && !is_word(word.front())) word.remove_prefix(1);
  const bool is_initial =
      word.size() == 1 && std::isupper(static_cast<unsigned char>(word[0])) != 0;
  return is_initial || std::find(kKnown.begin(), kKnown.end(), word) != kKnown.end();
}

// One past the end of the sentence whose last mark may be at `at`; 0 if none ends there.
std::size_t sentence_end(std::string_view text, std::size_t at) {
  constexpr std::string_view kMarks = ".!?";
  if (kMarks.find(text[at]) == std::string_view::npos) return 0;
  if (text[at] == '.' && ((at > 0 && text[at - 1] == '.') || is_abbreviation(text, at))) return 0;
  auto end = at + 1;
  while (end < text.size() && std::string_view(")\"'`").find(text[end]) != std::string_view::npos) {
    ++end;
  }
  return end == text.size() || is_blank(text[end]) ? end : 0;
}

}  // namespace

std::vector<ScannedLine> scan(const std::vector<std::string>& lines, Language language) {
  Scanner scanner(language);
  std::vector<ScannedLine> all;
  all.reserve(lines.size());
  for (const auto& line : lines) all.push_back(scanner.read(line));
  return all;
}

std::vector<Sentence> sentences_of(const std::vector<ScannedLine>& lines) {
  std::vector<Sentence> sentences;
  Block block(sentences);
  const ScannedLine* before = nullptr;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto& line = lines[i];
    if (line.marker.empty()) {
      before = nullptr;
      continue;
    }
    const bool is_alone = line.code.find_first_not_of(" \t") == std::string::npos;
    const bool continues = is_alone && before != nullptr && before->column == line.column &&
                           before->marker == line.marker;
    if (!continues) block.begin(i + 1);
    block.add(line.comment);
    before = &line;
  }
  block.end_paragraph();
  return sentences;
}

std::vector<std::string> cut_sentences(std::string_view paragraph) {
  const auto text = with_closed_code(paragraph);
  std::vector<std::string> all;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto end = at + 1 == text.size() ? text.size() : sentence_end(text, at);
    if (end == 0) continue;
    const auto first = std::min(text.find_first_not_of(' ', begin), end);
    if (first < end) all.push_back(with_open_code(text.substr(first, end - first)));
    begin = end;
    at = end - 1;
  }
  return all;
}

std::size_t count_words(std::string_view sentence) {
  const auto text = with_closed_code(sentence);
  std::size_t words = 0;
  bool is_counted = false;
  for (const char c : text) {
    if (is_blank(c)) is_counted = false;
    if (!is_counted && std::isalnum(static_cast<unsigned char>(c)) != 0) {
      ++words;
      is_counted = true;
    }
  }
  return words;
}

std::vector<std::string> identifiers_of(std::string_view code) {
  std::vector<std::string> all;
  for (std::size_t at = 0; at < code.size();) {
    auto end = at;
    while (end < code.size() && is_word(code[end])) ++end;
    if (end > at && std::isdigit(static_cast<unsigned char>(code[at])) == 0) {
      all.emplace_back(code.substr(at, end - at));
    }
    at = std::max(end, at + 1);
  }
  return all;
}

std::vector<std::string> parts_of(std::string_view identifier) {
  std::vector<std::string> parts(1);
  char before = '_';
  for (const char c : identifier) {
    const bool is_upper = std::isupper(static_cast<unsigned char>(c)) != 0;
    const bool was_lower = std::islower(static_cast<unsigned char>(before)) != 0;
    if (c == '_' || (is_upper && was_lower)) parts.emplace_back();
    if (c != '_') {
      parts.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    before = c;
  }
  std::erase(parts, "");
  return parts;
}

}  // namespace libsync::test
