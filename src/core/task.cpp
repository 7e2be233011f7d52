#include "libsync/core/task.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>

#include "libsync/core/escaped_text.h"
#include "libsync/core/state_folder_name.h"

namespace libsync {
namespace {

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

Refusal refuse(std::string_view text, std::string_view rule) {
  constexpr std::size_t kShown = 300;  // Keeps the log line readable.
  return Refusal{
      fmt::format("task '{}' {}: set an absolute path without '.', '..', '//' or "
                  "control characters, as in: redis-cli set task /data1/release/model.7",
                  escaped(text.substr(0, kShown)), rule)};
}

}  // namespace

bool is_payload_name(std::string_view name) {
  return !name.empty() && name.size() <= NAME_MAX && name != "." && name != ".." &&
         name != kStateFolderName && name.find('/') == std::string_view::npos &&
         std::none_of(name.begin(), name.end(), is_control);
}

std::variant<TaskPath, Refusal> TaskPath::parse(std::string_view text) {
  if (text.empty() || text.front() != '/') return refuse(text, "is not an absolute path");
  if (text.size() >= PATH_MAX) return refuse(text, "is longer than 4095 bytes");
  if (std::any_of(text.begin(), text.end(), is_control)) {
    return refuse(text, "holds a control character");
  }
  for (std::size_t start = 1; start <= text.size();) {
    const auto end = std::min(text.find('/', start), text.size());
    const auto component = text.substr(start, end - start);
    if (component.empty() || component == "." || component == "..") {
      return refuse(text, "is not in its plain form");
    }
    start = end + 1;
  }
  TaskPath task;
  task.text_ = text;
  if (!is_payload_name(task.name())) {
    return refuse(text, "has a last component that cannot be published");
  }
  return task;
}

std::string_view without_trailing_slash(std::string_view text) {
  if (text.size() > 1 && text.ends_with('/')) text.remove_suffix(1);
  return text;
}

std::string TaskPath::name() const { return text_.substr(text_.rfind('/') + 1); }

std::optional<std::filesystem::path> root_of(const TaskPath& task,
                                             const std::vector<std::filesystem::path>& roots) {
  std::optional<std::filesystem::path> below;
  for (const auto& root : roots) {
    std::string prefix = root.lexically_normal().string();
    if (!prefix.ends_with('/')) prefix += '/';
    if (task.text() + '/' == prefix) return std::nullopt;
    if (!below && task.text().starts_with(prefix)) below = root;
  }
  return below;
}

}  // namespace libsync
