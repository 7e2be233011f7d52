#pragma once

// The message about an argument that a program does not know, and the word that the operator most
// likely meant.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace libsync {

/// The one of `words` that differs least from `typed`: by at most a third of its letters. An
/// exchange of two neighbours counts as one difference. Nothing if each differs by more.
[[nodiscard]] std::optional<std::string> nearest(std::string_view typed,
                                                 const std::vector<std::string>& words);

/// The words that a command line of a program may hold, all without dashes.
struct KnownArguments {
  struct Verb {
    std::string name;
    std::vector<std::string> options;  ///< Its long options.
    bool is_typed = false;
  };
  std::vector<std::string> options;  ///< The long options of the program.
  std::vector<Verb> verbs;
  std::string other_program;
  std::vector<std::string> other_options;  ///< The long options that only the other program has.
  std::vector<std::string> other_verbs;    ///< The same of verbs.
};

/// The message about `unknown`, the arguments that the parser has left over. It is about the first
/// option among them, or about the first word.
[[nodiscard]] std::string unknown_argument(const std::vector<std::string>& unknown,
                                           const KnownArguments& known);

}  // namespace libsync
