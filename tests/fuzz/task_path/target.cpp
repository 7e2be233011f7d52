// The task, which everyone with access to Redis can set. Further lines are roots.

#include "target.h"

#include "libsync/core/task.h"

namespace libsync::fuzz {
namespace {

void check_path(const TaskPath& task, std::string_view text) {
  require(task.text() == text, "a task is its text");
  require(text.size() >= 2 && text.size() <= 4095, "a task fits into a path");
  require(text.front() == '/' && is_plain_line(text), "a task is an absolute path in a line");
  std::size_t start = 1;
  while (start <= text.size()) {
    const auto end = std::min(text.find('/', start), text.size());
    const auto component = text.substr(start, end - start);
    require(!component.empty() && component != "." && component != "..", "a task is plain");
    start = end + 1;
  }
  require(is_component(task.name()) && task.name() != ".libsync", "a payload can be published");
  require(text.ends_with("/" + task.name()), "the name is the last component");
  const auto again = TaskPath::parse(task.text());
  require(std::holds_alternative<TaskPath>(again) && std::get<TaskPath>(again) == task,
          "a task survives its text");
}

}  // namespace

void check(std::string_view input) {
  const auto lines = lines_of(input);
  const auto text = lines.empty() ? input : lines.front();
  const auto whole = TaskPath::parse(input);
  require(lines.size() < 2 || std::holds_alternative<Refusal>(whole), "a task has one line");
  if (is_payload_name(text)) {
    require(std::holds_alternative<TaskPath>(TaskPath::parse("/" + std::string(text))),
            "each payload's name ends a task");
  }
  const auto parsed = TaskPath::parse(text);
  if (const auto* const refusal = std::get_if<Refusal>(&parsed)) {
    require(!refusal->reason.empty() && is_plain_line(refusal->reason), "a refusal is a line");
    return;
  }
  const auto& task = std::get<TaskPath>(parsed);
  check_path(task, text);
  std::vector<std::filesystem::path> roots;
  for (std::size_t i = 1; i < lines.size(); ++i) roots.emplace_back(std::string(lines[i]));
  const auto root = root_of(task, roots);
  if (!root) return;
  auto folder = root->lexically_normal().string();
  if (!folder.ends_with('/')) folder += '/';
  require(text.starts_with(folder) && text.size() > folder.size(), "a task lies below its root");
}

}  // namespace libsync::fuzz
