#pragma once

// The task: the absolute path that an operator set in Redis, checked before anything acts on it.
//
// Anybody who can write to Redis can set it, so it is judged twice: here by its text alone, and
// in payload.h by what stands on the disk, opened beneath a locally configured root.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace libsync {

/// Why something was refused, for a person: the value, the rule, and the way out. One line,
/// escaped.
struct Refusal {
  std::string reason;
};

class TaskPath {
 public:
  /// Accepts 2 to 4095 bytes that start with `/`, have no empty, `.` or `..` component, no control
  /// byte and no trailing slash, and whose last component is at most 255 bytes and not `.libsync`.
  /// Everything else (spaces, globs, quotes, a leading dash, bytes that are not UTF-8) is legal.
  [[nodiscard]] static std::variant<TaskPath, Refusal> parse(std::string_view text);

  [[nodiscard]] const std::string& text() const { return text_; }

  /// The last component: the payload's name, and what stands in every destination repo.
  [[nodiscard]] std::string name() const;

  friend auto operator<=>(const TaskPath&, const TaskPath&) = default;

 private:
  std::string text_;
};

/// Whether `name` can be the name of a payload: one path component that is neither special nor the
/// folder of our own state.
[[nodiscard]] bool is_payload_name(std::string_view name);

/// The root that the task lies below, by text; nothing if it lies below none or is one itself.
[[nodiscard]] std::optional<std::filesystem::path> root_of(
    const TaskPath& task, const std::vector<std::filesystem::path>& roots);

}  // namespace libsync
