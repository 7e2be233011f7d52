#include "programs/unknown_argument.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "libsync/core/escaped_text.h"

namespace libsync {
namespace {

// Longer arguments are no misspelt words, and would cost time.
constexpr std::size_t kLongestWord = 40;

// The optimal string alignment distance: insertions, deletions, replacements and exchanges of
// neighbours. See L. Boytsov, "Indexing methods for approximate dictionary searching" (2011).
std::size_t difference(std::string_view one, std::string_view other) {
  std::array<std::array<std::size_t, kLongestWord + 1>, kLongestWord + 1> by{};
  for (std::size_t i = 0; i <= one.size(); ++i) {
    for (std::size_t j = 0; j <= other.size(); ++j) {
      if (i == 0 || j == 0) {
        by[i][j] = i + j;
        continue;
      }
      const std::size_t replaced = one[i - 1] == other[j - 1] ? 0 : 1;
      by[i][j] = std::min({by[i - 1][j] + 1, by[i][j - 1] + 1, by[i - 1][j - 1] + replaced});
      const bool is_exchange =
          i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1];
      if (is_exchange) by[i][j] = std::min(by[i][j], by[i - 2][j - 2] + 1);
    }
  }
  return by[one.size()][other.size()];
}

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string about_word(const std::string& word, const KnownArguments& known) {
  std::vector<std::string> verbs;
  const bool is_of_other = contains(known.other_verbs, word);
  for (const auto& verb : known.verbs) {
    if (verb.is_typed) {
      return fmt::format("'{}' is no argument of the verb {}: drop it", escaped(word), verb.name);
    }
    verbs.push_back(verb.name);
  }
  if (is_of_other) {
    return fmt::format("'{}' is a verb of {}: call that program", word, known.other_program);
  }
  if (const auto meant = nearest(word, verbs)) {
    return fmt::format("'{}' is no verb: did you mean '{}'?", escaped(word), *meant);
  }
  return fmt::format("'{}' is no verb: the verbs are {}", escaped(word), fmt::join(verbs, ", "));
}

}  // namespace

std::optional<std::string> nearest(std::string_view typed, const std::vector<std::string>& words) {
  std::optional<std::string> best;
  auto least = std::max<std::size_t>(1, typed.size() / 3);
  if (typed.size() > kLongestWord) return best;
  for (const auto& word : words) {
    if (word.size() > kLongestWord) continue;
    const auto by = difference(typed, word);
    if (best ? by >= least : by > least) continue;
    least = by;
    best = word;
  }
  return best;
}

std::string unknown_argument(const std::vector<std::string>& unknown, const KnownArguments& known) {
  if (unknown.empty()) return "unknown arguments";
  const auto option = std::find_if(unknown.begin(), unknown.end(),
                                   [](const auto& word) { return word.starts_with("-"); });
  if (option == unknown.end()) return about_word(unknown.front(), known);
  auto name = option->substr(0, option->find('='));
  const auto shown = escaped(name);
  name.erase(0, std::min(name.find_first_not_of('-'), name.size()));
  if (contains(known.other_options, name)) {
    return fmt::format("{} is an option of {}: drop it, or call that program", shown,
                       known.other_program);
  }
  auto options = known.options;
  for (const auto& verb : known.verbs) {
    if (contains(verb.options, name)) {
      return fmt::format("{} is an option of the verb {}: write it behind the verb", shown,
                         verb.name);
    }
    if (verb.is_typed) options.insert(options.end(), verb.options.begin(), verb.options.end());
  }
  if (const auto meant = nearest(name, options)) {
    return fmt::format("{} is no option: did you mean --{}?", shown, *meant);
  }
  return fmt::format("{} is no option: drop it", shown);
}

}  // namespace libsync
