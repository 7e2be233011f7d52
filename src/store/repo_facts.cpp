#include "store/repo_facts.h"

#include <fmt/format.h>
#include <grp.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "libsync/core/escaped_text.h"
#include "os/files.h"
#include "store/tick_lock.h"

namespace libsync {
namespace {

constexpr std::uint64_t kTrialBytes = 1'000'000;
constexpr std::size_t kGroupBytes = 65536;

void add_group(RepoFacts& facts) {
  group entry{};
  group* found = nullptr;
  std::vector<char> buffer(kGroupBytes);
  facts.group_name = std::to_string(facts.group);
  if (getgrgid_r(facts.group, &entry, buffer.data(), buffer.size(), &found) != 0 || !found) return;
  facts.group_name = escaped(entry.gr_name);
  for (auto* const* member = entry.gr_mem; *member != nullptr; ++member) {
    facts.group_members.push_back(escaped(*member));
  }
}

// StateFolder::weakness_of() is about root alone.
std::optional<std::string> weakness_of(const RepoFacts& facts) {
  if (auto weakness = StateFolder::weakness_of(facts.path)) return weakness;
  if ((facts.mode & S_IWOTH) == 0) return std::nullopt;
  return fmt::format(
      "'{}' has mode {:04o}, so every user can replace what is published: chmod o-w it",
      escaped(facts.path.string()), facts.mode);
}

}  // namespace

RepoFacts repo_facts(const CheckFolder& folder) {
  const auto state = folder.state_folder();
  RepoFacts facts{.path = state.parent_path()};
  const auto repo = status_of(facts.path).value();
  facts.mode = repo.st_mode & 07777U;
  facts.group = repo.st_gid;
  add_group(facts);
  facts.weakness = weakness_of(facts);
  const auto mounts = mount_points();
  facts.is_one_file_system = repo.st_dev == status_of(state).value().st_dev &&
                             std::find(mounts.begin(), mounts.end(), state) == mounts.end();
  facts.can_exchange = folder.can_exchange();
  facts.can_share_blocks = can_share_blocks(folder.path());
  facts.can_write = can_write(facts.path, kTrialBytes);
  facts.free_bytes = free_bytes(facts.path);
  return facts;
}

TickFacts tick_facts(const std::filesystem::path& lock, const Clock& clock) {
  TickFacts facts;
  const auto status = status_of(lock);
  if (!status) return facts;
  const auto begun = std::chrono::system_clock::from_time_t(status->st_mtim.tv_sec);
  const auto ago = std::chrono::duration_cast<std::chrono::seconds>(clock.wall() - begun);
  facts.begun_ago = std::max(std::chrono::seconds(0), ago);
  const auto process = TickLock::holder_in(read_file(lock, 100).value_or(""));
  facts.is_running = process && status_of(fmt::format("/proc/{}", *process)).has_value();
  return facts;
}

}  // namespace libsync
