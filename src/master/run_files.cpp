#include "master/run_files.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "libsync/core/number.h"
#include "libsync/core/state_folder_name.h"
#include "os/descriptor.h"
#include "os/files.h"

namespace libsync {
namespace {

const std::filesystem::path kFolder = in_state_folder("runs");
constexpr std::string_view kUnfinished = ".new";  // As replace_file() names it.
constexpr unsigned kFolderMode = 0700;
constexpr unsigned kFileMode = 0600;

std::size_t accounts_in(const RunAccount& account) {
  return static_cast<std::size_t>(
      std::count_if(account.hosts.begin(), account.hosts.end(),
                    [](const HostAccount& host) { return host.has_account; }));
}

// Whether the text that is there tells as much as the other one.
bool suffices(const std::optional<std::string>& present, std::string_view wanted) {
  if (!present) return false;
  if (*present == wanted) return true;
  const auto known = decode_run_account(*present);
  const auto given = decode_run_account(wanted);
  return known && given && accounts_in(*known) >= accounts_in(*given);
}

}  // namespace

std::optional<RunFile> RunFile::parse(std::string_view name) {
  const auto dash = name.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto begun_ms = parse_number<std::uint64_t>(name.substr(0, dash));
  const auto run = RunId::parse(name.substr(dash + 1));
  if (!begun_ms || !run) return std::nullopt;
  RunFile file{*begun_ms, *run};
  // One name for each file: none with a zero in front.
  return file.name() == name ? std::optional(std::move(file)) : std::nullopt;
}

std::string RunFile::name() const { return fmt::format("{}-{}", begun_ms, run.text()); }

RunFiles::RunFiles(std::filesystem::path repo) : repo_(std::move(repo)), folder_(repo_ / kFolder) {}

std::vector<RunFile> RunFiles::all() const {
  std::vector<RunFile> files;
  const auto folder = status_of(folder_);
  if (!folder || !S_ISDIR(folder->st_mode)) return files;
  for (const auto& name : names_in(folder_)) {
    auto file = RunFile::parse(name);
    const auto status = file ? status_of(folder_ / name) : std::nullopt;
    if (status && S_ISREG(status->st_mode)) files.push_back(*std::move(file));
  }
  std::sort(files.rbegin(), files.rend());
  return files;
}

std::optional<std::string> RunFiles::text_of(const RunFile& file) const {
  const auto path = kFolder / file.name();
  const auto repo = open_file(repo_, O_RDONLY | O_DIRECTORY);
  const auto opened = open_beneath(repo, path, O_RDONLY | O_NONBLOCK);
  if (opened) return read_file(opened, kRunAccountBytes);
  // ELOOP: a symlink.
  if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return std::nullopt;
  throw_disk_failure("read", repo_ / path);
}

std::optional<RunAccount> RunFiles::read(const RunFile& file) const {
  const auto text = text_of(file);
  auto account = text ? decode_run_account(*text) : std::nullopt;
  // A file under the name of another run is none of ours.
  if (account && account->run == file.run && account->begun_ms == file.begun_ms) return account;
  return std::nullopt;
}

void RunFiles::write(const RunAccount& account) const {
  const RunFile file{account.begun_ms, account.run};
  const auto text = encode(account);
  if (suffices(text_of(file), text)) return;
  make_folder(folder_, kFolderMode);
  make_room(file);
  replace_file(folder_ / file.name(), text, kFileMode);
}

// Deletes what dead ticks left, files that are no accounts by their length, and the oldest files,
// until one more fits.
void RunFiles::make_room(const RunFile& wanted) const {
  for (const auto& name : names_in(folder_)) {
    if (!name.ends_with(kUnfinished)) continue;
    const auto stem = std::string_view(name).substr(0, name.size() - kUnfinished.size());
    if (RunFile::parse(stem)) remove_file(folder_ / name);
  }
  std::size_t count = 1;
  for (const auto& file : all()) {
    const auto path = folder_ / file.name();
    const auto status = status_of(path);
    if (!status || file == wanted) continue;
    const bool is_too_long = static_cast<std::uint64_t>(status->st_size) > kRunAccountBytes;
    if (count >= kMostRunFiles || is_too_long) {
      remove_file(path);
    } else {
      ++count;
    }
  }
}

}  // namespace libsync
