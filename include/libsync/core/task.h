#pragma once

// The task: the absolute path that an operator set in Redis, checked before anything acts on it.
//
// Everyone with access to Redis can set it, so it is checked twice. This file checks its text
// alone. store/payload.h opens it on the disk, beneath a root that the master's configuration
// names.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace libsync {

/// The reason of a refusal, for a person: the value, the rule, and the way out. One escaped line.
struct Refusal {
  std::string reason;
};

class TaskPath {
 public:
  /// Accepts 2 to 4095 bytes that start with `/`. There must be no empty, `.` or `..` component, no
  /// control byte and no trailing slash. The last component has at most 255 bytes and is not
  /// `.libsync`.
  ///
  /// Everything else is legal: spaces, globs, quotes, a leading dash, bytes that are not UTF-8.
  [[nodiscard]] static std::variant<TaskPath, Refusal> parse(std::string_view text);

  [[nodiscard]] const std::string& text() const { return text_; }

  /// The last component: the name of the payload, and of its copy in every repo.
  [[nodiscard]] std::string name() const;

  friend auto operator<=>(const TaskPath&, const TaskPath&) = default;

 private:
  TaskPath() = default;

  std::string text_;
};

/// The text without one trailing slash, which tab completion appends to a folder. `/` stays.
[[nodiscard]] std::string_view without_trailing_slash(std::string_view text);

/// Whether `name` can be the name of a payload: one path component that is neither special nor our
/// state folder.
[[nodiscard]] bool is_payload_name(std::string_view name);

/// The first of the roots that the task lies below, by its text. Nothing if there is none, or if
/// the task is a root itself.
[[nodiscard]] std::optional<std::filesystem::path> root_of(
    const TaskPath& task, const std::vector<std::filesystem::path>& roots);

}  // namespace libsync
