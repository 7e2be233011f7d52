// The inventory, which an operator writes.

#include "target.h"

#include "libsync/core/config.h"

namespace libsync::fuzz {
namespace {

// The words of a line before its comment.
std::string_view content_of(std::string_view line) {
  line = line.substr(0, line.find('#'));
  const auto first = line.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
}

}  // namespace

void check(std::string_view input) {
  const auto parsed = parse_inventory(input);
  std::vector<std::string> expected;
  std::size_t bad_line = 0;
  const auto lines = lines_of(input);
  for (std::size_t i = 0; i < lines.size() && bad_line == 0; ++i) {
    const auto content = content_of(lines[i]);
    if (content.empty()) continue;
    if (!Address::parse(content)) bad_line = i + 1;
    expected.emplace_back(content);
  }
  if (const auto* const refusal = std::get_if<Refusal>(&parsed)) {
    require(bad_line > 0 || expected.empty(), "an inventory of addresses is accepted");
    require(is_plain_line(refusal->reason), "a refusal is a line");
    require(bad_line == 0 || refusal->reason.starts_with("line " + std::to_string(bad_line) + " "),
            "a refusal names the first bad line");
    return;
  }
  require(bad_line == 0 && !expected.empty(), "a bad inventory is refused");
  const auto& hosts = std::get<std::vector<Address>>(parsed);
  require(hosts.size() == expected.size(), "each line is a host");
  std::string text;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    require(hosts[i].text() == expected[i], "hosts keep the order of the lines");
    text += hosts[i].text() + "\n";
  }
  const auto again = parse_inventory(text);
  require(std::holds_alternative<std::vector<Address>>(again) &&
              std::get<std::vector<Address>>(again) == hosts,
          "an inventory survives its text");
}

}  // namespace libsync::fuzz
