#include "libsync/core/name_list.h"

#include <fmt/format.h>

#include <algorithm>

namespace libsync {

std::string name_list(const std::vector<std::string>& names, std::size_t most) {
  const auto shown = std::min(names.size(), most);
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(shown);
  auto text = fmt::format("{}", fmt::join(names.begin(), end, " "));
  if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

}  // namespace libsync
