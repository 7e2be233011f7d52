#include "libsync/core/basis.h"

#include <algorithm>
#include <cctype>
#include <tuple>

namespace libsync {
namespace {

// Names that are less alike belong to different payloads. Most names of one family reach 100.
constexpr unsigned kLeastSimilarity = 60;
// A word of so many hexadecimal digits, with a digit among them, is a digest.
constexpr std::size_t kShortestDigest = 7;

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
bool is_alnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }
bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }

bool is_digest(std::string_view word) {
  return word.size() >= kShortestDigest && std::all_of(word.begin(), word.end(), is_hex) &&
         std::any_of(word.begin(), word.end(), is_digit);
}

// A name with `#` for each number or digest. Numbers that a single character separates, as those of
// a version or a date, are one.
std::string family(std::string_view name) {
  std::string text;
  for (std::size_t at = 0; at < name.size();) {
    const auto from = name.substr(at);
    const auto word_end = std::find_if_not(from.begin(), from.end(), is_alnum);
    const auto word = from.substr(0, static_cast<std::size_t>(word_end - from.begin()));
    const auto digits_end = std::find_if_not(from.begin(), from.end(), is_digit);
    const auto digits = static_cast<std::size_t>(digits_end - from.begin());
    const auto number = is_digest(word) ? word.size() : digits;
    if (number == 0) {
      text.push_back(name[at++]);
      continue;
    }
    at += number;
    const auto size = text.size();
    if (size >= 2 && !is_alnum(text[size - 1]) && text[size - 2] == '#') {
      text.pop_back();
    } else if (!text.ends_with('#')) {
      text.push_back('#');
    }
  }
  return text;
}

}  // namespace

Kinship kinship_of(std::uint64_t pulled_bytes, std::uint64_t bytes) {
  return pulled_bytes < bytes - bytes / 10 ? Kinship::alike : Kinship::unlike;
}

unsigned similarity(std::string_view one, std::string_view other) {
  const auto a = family(one);
  const auto b = family(other);
  const auto shorter = std::min(a.size(), b.size());
  const auto longer = std::max(a.size(), b.size());
  if (longer == 0) return 100;
  std::size_t same = 0;
  while (same < shorter && a[same] == b[same]) ++same;
  const auto front = same;
  while (same < shorter && a[a.size() - 1 - (same - front)] == b[b.size() - 1 - (same - front)]) {
    ++same;
  }
  return static_cast<unsigned>(100 * same / longer);
}

std::optional<std::size_t> choose_basis(const std::string& name, EntryKind kind,
                                        const std::vector<OldName>& old) {
  const auto rank = [&](const OldName& one) {
    return std::tuple(one.name == name, similarity(name, one.name), one.published);
  };
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < old.size(); ++i) {
    if (old[i].kind != kind || similarity(name, old[i].name) < kLeastSimilarity) continue;
    if (!best || rank(old[i]) > rank(old[*best])) best = i;
  }
  return best;
}

}  // namespace libsync
