#include "store/notes.h"

#include <utility>

#include "libsync/core/failure.h"
#include "os/files.h"

namespace libsync {
namespace {

constexpr unsigned kPrivateFolderMode = 0700;
constexpr unsigned kPrivateFileMode = 0600;
// A line for each of 10,000 sources.
constexpr std::size_t kPublishedBytes = std::size_t{1} << 20U;
constexpr std::size_t kFaultBytes = 4096;

std::optional<Noted<std::string>> read_note(const std::filesystem::path& path, std::size_t limit) {
  auto text = read_file(path, limit);
  const auto status = text ? status_of(path) : std::nullopt;
  if (!status) return std::nullopt;
  return Noted<std::string>{*std::move(text),
                            std::chrono::system_clock::from_time_t(status->st_mtim.tv_sec)};
}

}  // namespace

void Notes::publish(const PublishedNote& note) const {
  try {
    const auto former = published();
    if (note.fed_by.empty() && former && former->value.run == note.run) return;
    write(folder_ / "published", encode(note));
  } catch (const Failure&) {
    return;
  }
}

void Notes::keep(NotedFault fault, std::string_view reason) const {
  try {
    const auto former = this->fault(fault);
    if (former && former->value == reason.substr(0, kFaultBytes)) return;
  } catch (const Failure&) {
    return;
  }
  renew(fault, reason);
}

void Notes::renew(NotedFault fault, std::string_view reason) const {
  try {
    write(path_of(fault), reason.substr(0, kFaultBytes));
  } catch (const Failure&) {
    return;
  }
}

void Notes::clear(NotedFault fault) const {
  try {
    if (status_of(path_of(fault))) remove_file(path_of(fault));
  } catch (const Failure&) {
    return;
  }
}

std::optional<Noted<PublishedNote>> Notes::published() const {
  const auto note = read_note(folder_ / "published", kPublishedBytes);
  auto published = note ? decode_published_note(note->value) : std::nullopt;
  if (!published) return std::nullopt;
  return Noted<PublishedNote>{*std::move(published), note->at};
}

std::optional<Noted<std::string>> Notes::fault(NotedFault fault) const {
  return read_note(path_of(fault), kFaultBytes);
}

void Notes::write(const std::filesystem::path& path, std::string_view text) const {
  make_folder(folder_, kPrivateFolderMode);
  replace_file(path, text, kPrivateFileMode);
}

std::filesystem::path Notes::path_of(NotedFault fault) const {
  switch (fault) {
    case NotedFault::tick:
      return folder_ / "fault-tick";
    case NotedFault::feed:
      return folder_ / "fault-feed";
    case NotedFault::hook:
      break;
  }
  return folder_ / "fault-hook";
}

}  // namespace libsync
