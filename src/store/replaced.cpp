#include "store/replaced.h"

#include <unistd.h>

#include "libsync/core/digest.h"
#include "libsync/core/number.h"
#include "libsync/core/run_ids.h"
#include "os/files.h"
#include "os/random.h"
#include "store/spool.h"

namespace libsync {
namespace {

constexpr unsigned kPrivateFolderMode = 0700;
constexpr unsigned kPrivateFileMode = 0600;
constexpr std::size_t kRecordBytes = std::size_t{64} << 10U;  // A path and some short lines.
constexpr std::size_t kSinceBytes = 32;
// In the year 2255: a later moment may not fit into a time point.
constexpr std::uint64_t kLatestMs = 9'000'000'000'000;

}  // namespace

std::filesystem::path ReplacedVersions::make_way(const std::string& payload_name,
                                                 const std::optional<RunRecord>& record) const {
  // A name of 255 bytes would be as good, but `record` must not be mistaken for one.
  const auto folder = top_ / digest_of(payload_name).hex().substr(0, 32);
  if (status_of(folder)) discard(folder);
  make_folder(top_, kPrivateFolderMode);
  make_folder(folder, kPrivateFolderMode);
  if (record) replace_file(folder / "record", encode(*record), kPrivateFileMode);
  return folder / "payload";
}

std::vector<Replaced> ReplacedVersions::all() const {
  std::vector<Replaced> found;
  for (const auto& name : names_in(top_)) {
    Replaced one{.folder = top_ / name, .record = {}, .since = {}};
    if (const auto text = read_file(one.folder / "record", kRecordBytes)) {
      one.record = decode_run_record(Role::minion, *text, UnknownKeys::are_skipped);
    }
    const auto since = read_file(one.folder / "since", kSinceBytes);
    if (const auto ms = since ? parse_number<std::uint64_t>(*since) : std::nullopt;
        ms && *ms <= kLatestMs) {
      one.since = std::chrono::system_clock::time_point(std::chrono::milliseconds(*ms));
    }
    found.push_back(std::move(one));
  }
  return found;
}

void ReplacedVersions::stamp(const Replaced& version, std::chrono::system_clock::time_point now) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(now).time_since_epoch().count();
  replace_file(version.folder / "since", std::to_string(ms), kPrivateFileMode);
}

void ReplacedVersions::discard(const std::filesystem::path& folder) const {
  rename_path(folder,
              state_folder_ / (discarded_prefix(Role::minion) + random_name<Token>().text()));
  // The last one leaves no empty folder.
  static_cast<void>(rmdir(top_.c_str()));
}

}  // namespace libsync
