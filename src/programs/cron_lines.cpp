#include "programs/cron_lines.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <sstream>

#include "libsync/core/failure.h"
#include "libsync/core/lines.h"
#include "os/files.h"

namespace libsync {
namespace {

constexpr std::size_t kCrontabBytes = std::size_t{1} << 20U;
constexpr std::array kFolders = {"/etc/cron.d", "/var/spool/cron/crontabs", "/var/spool/cron"};
constexpr std::array kOtherVerbs = {"status", "wait", "hosts", "check", "functions"};

void read_crontab(const std::filesystem::path& file, const std::string& program, CronFacts& facts) {
  try {
    const auto text = read_file(file, kCrontabBytes);
    if (text && !cron_lines_in(*text, program).empty()) facts.files.push_back(file.string());
  } catch (const Failure&) {
    facts.unreadable.push_back(file.string());
  }
}

}  // namespace

std::vector<std::string> cron_lines_in(std::string_view crontab, const std::string& program) {
  std::vector<std::string> found;
  for (const auto line : lines_of(crontab)) {
    std::istringstream words{std::string(line)};
    bool is_started = false;
    bool is_tick = true;
    for (std::string word; words >> word && word.front() != '#';) {
      if (std::filesystem::path(word).filename() == program) {
        is_started = true;
        continue;
      }
      const bool is_verb =
          std::find(kOtherVerbs.begin(), kOtherVerbs.end(), word) != kOtherVerbs.end();
      if (is_started && is_verb) is_tick = false;
    }
    if (is_started && is_tick) found.emplace_back(line);
  }
  return found;
}

CronFacts cron_facts(const std::string& program) {
  CronFacts facts;
  read_crontab("/etc/crontab", program, facts);
  for (const auto* const folder : kFolders) {
    const std::filesystem::path path(folder);
    if (!status_of(path)) continue;
    if (access(folder, R_OK | X_OK) != 0) {
      facts.unreadable.emplace_back(folder);
      continue;
    }
    for (const auto& name : names_in(path)) read_crontab(path / name, program, facts);
  }
  return facts;
}

}  // namespace libsync
