#include "os/processes.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "os/files.h"

namespace libsync {

std::vector<std::vector<std::string>> command_lines() {
  std::vector<std::vector<std::string>> all;
  for (const auto& name : names_in("/proc")) {
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file("/proc/" + name + "/cmdline");
    const std::string text(std::istreambuf_iterator<char>(file), {});
    std::vector<std::string> words;
    for (std::size_t start = 0; start < text.size();) {
      const auto end = std::min(text.find('\0', start), text.size());
      words.push_back(text.substr(start, end - start));
      start = end + 1;
    }
    if (!words.empty()) all.push_back(std::move(words));
  }
  return all;
}

}  // namespace libsync
