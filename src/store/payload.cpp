#include "store/payload.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <numeric>

#include "libsync/core/digest.h"
#include "libsync/core/escaped_text.h"
#include "libsync/core/state_folder_name.h"
#include "os/descriptor.h"
#include "os/files.h"
#include "os/stop_signal.h"

namespace libsync {
namespace {

// Unit of st_blocks, on every file system (stat(2)).
constexpr std::uint64_t kBlockBytes = 512;

// While it lists, the listing has no more holes than these, and drops the smallest. Some, so that
// it seldom does.
constexpr std::size_t kHolesKept = 4 * kMaxHoles;

Refusal refuse(const std::filesystem::path& path, std::string_view rule_and_way_out) {
  return Refusal{fmt::format("'{}' {}", escaped(path.string()), rule_and_way_out)};
}

// The refusal of an entry whose system call has just failed. Reads errno, and throws if the task is
// not to blame.
Refusal refuse_unreadable(const std::filesystem::path& path) {
  if (!is_fault_of_task(errno)) throw_disk_failure("read", path);
  return refuse(path, fmt::format("cannot be read: {}: set a path that is there and readable for "
                                  "this user",
                                  std::strerror(errno)));
}

std::string_view special_kind(mode_t mode) {
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

std::filesystem::path path_of(const Location& payload, const std::string& entry_name) {
  const std::filesystem::path top(payload.name);
  return entry_name.empty() ? top : top / entry_name;
}

Stamp stamp_of(const struct stat& status) {
  return {status.st_dev,
          status.st_ino,
          static_cast<std::uint64_t>(status.st_size),
          mtime_of(status),
          {status.st_ctim.tv_sec, static_cast<std::uint32_t>(status.st_ctim.tv_nsec)}};
}

// The holes of a file, of which a listing needs the largest ones. A file that has changed since its
// stat counts as dense, and so does one on a file system that reports no holes.
std::vector<Hole> holes_of(const Descriptor& parent, const std::string& child, const Stamp& stamp,
                           const std::stop_token& stop) {
  Entry found;
  const auto file = open_beneath(parent, child, O_RDONLY | O_NONBLOCK);
  if (!file || stamp_of(file) != stamp) return {};
  const auto end = static_cast<off_t>(stamp.size);
  for (off_t position = 0; position < end;) {
    if (stop.stop_requested()) throw Stopped();
    const auto hole = lseek(file.number(), position, SEEK_HOLE);
    if (hole < 0 || hole >= end) break;
    auto data = lseek(file.number(), hole, SEEK_DATA);
    if (data < 0 && errno == ENXIO) data = end;  // The hole reaches to the end.
    if (data <= hole) break;
    position = std::min(data, end);
    found.holes.push_back(
        {static_cast<std::uint64_t>(hole), static_cast<std::uint64_t>(position - hole)});
    if (found.holes.size() >= kHolesKept) drop_small_holes({&found, 1});
  }
  return found.holes;
}

struct Closer {
  void operator()(DIR* stream) const { closedir(stream); }
};

// Walks a payload without recursion. A folder yet to be listed costs a name, not a descriptor.
class Lister {
 public:
  Lister(const Location& payload, const std::stop_token& stop, const OnEntry& on_entry)
      : payload_(payload), stop_(stop), on_entry_(on_entry) {}

  std::variant<Payload, Refusal> list() {
    if (auto refusal = add(*payload_.folder, payload_.name, "")) return *refusal;
    while (!waiting_.empty()) {
      const std::string next = std::move(waiting_.back());
      waiting_.pop_back();
      if (auto refusal = list_folder(next)) return *refusal;
    }
    return sorted();
  }

 private:
  std::filesystem::path shown(const std::string& entry_name) const {
    return entry_name.empty() ? payload_.shown : payload_.shown / entry_name;
  }

  std::optional<Refusal> list_folder(const std::string& entry_name) {
    auto opened =
        open_beneath(*payload_.folder, path_of(payload_, entry_name), O_RDONLY | O_DIRECTORY);
    if (!opened) return refuse_unreadable(shown(entry_name));
    const int own = dup(opened.number());
    const std::unique_ptr<DIR, Closer> stream(own < 0 ? nullptr : fdopendir(own));
    if (!stream) return refuse_unreadable(shown(entry_name));
    errno = 0;
    while (const dirent* const found = readdir(stream.get())) {
      if (stop_.stop_requested()) throw Stopped();
      const std::string child(found->d_name);
      if (child == "." || child == "..") continue;
      auto full = entry_name;
      if (!full.empty()) full += '/';
      full += child;
      if (full.size() > kLongestEntryName) {
        return refuse(
            shown(full),
            fmt::format("has more than {} bytes below the payload's top, too many for the "
                        "paths of a minion: shorten the names of its folders",
                        kLongestEntryName));
      }
      if (auto refusal = add(opened, child, full)) return refusal;
      errno = 0;
    }
    if (errno != 0) return refuse_unreadable(shown(entry_name));
    return std::nullopt;
  }

  std::optional<Refusal> add(const Descriptor& parent, const std::string& child,
                             const std::string& entry_name) {
    struct stat status {};
    if (fstatat(parent.number(), child.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return refuse_unreadable(shown(entry_name));
    }
    Entry entry;
    entry.mode = status.st_mode & 07777U;
    entry.mtime = mtime_of(status);
    entry.uid = status.st_uid;
    entry.gid = status.st_gid;
    entry.name = entry_name;
    if (S_ISREG(status.st_mode)) {
      entry.kind = EntryKind::file;
      entry.size = static_cast<std::uint64_t>(status.st_size);
      // A preallocated file counts as dense.
      if (static_cast<std::uint64_t>(status.st_blocks) * kBlockBytes < entry.size) {
        entry.holes = holes_of(parent, child, stamp_of(status), stop_);
        holes_ += entry.holes.size();
      }
      if (status.st_nlink > 1) ++hard_linked_files_;
      if (faccessat(parent.number(), child.c_str(), R_OK, AT_EACCESS) != 0) {
        return refuse_unreadable(shown(entry_name));
      }
    } else if (S_ISDIR(status.st_mode)) {
      entry.kind = EntryKind::folder;
      waiting_.push_back(entry_name);
    } else if (S_ISLNK(status.st_mode)) {
      if (entry_name.empty()) {
        return refuse(payload_.shown, "is a symlink: set the path that it points to");
      }
      entry.kind = EntryKind::link;
      std::array<char, PATH_MAX> target{};
      const auto length = readlinkat(parent.number(), child.c_str(), target.data(), target.size());
      if (length <= 0) return refuse_unreadable(shown(entry_name));
      entry.target.assign(target.data(), static_cast<std::size_t>(length));
    } else {
      return refuse(shown(entry_name),
                    fmt::format("is {}, which is not carried: remove it or name a payload without "
                                "devices, sockets and FIFOs",
                                special_kind(status.st_mode)));
    }
    entries_.push_back(std::move(entry));
    stamps_.push_back(stamp_of(status));
    if (holes_ >= kHolesKept) {
      drop_small_holes(entries_);
      holes_ = kMaxHoles;
    }
    if (on_entry_) on_entry_(entries_.size());
    return std::nullopt;
  }

  Payload sorted() {
    std::vector<std::size_t> order(entries_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t left, std::size_t right) {
      return entries_[left].name < entries_[right].name;
    });
    std::vector<Entry> entries;
    std::vector<Stamp> stamps;
    entries.reserve(order.size());
    stamps.reserve(order.size());
    for (const auto index : order) {
      entries.push_back(std::move(entries_[index]));
      stamps.push_back(stamps_[index]);
    }
    drop_small_holes(entries);
    return {Manifest(std::move(entries)), std::move(stamps), hard_linked_files_};
  }

  const Location& payload_;
  const std::stop_token& stop_;
  const OnEntry& on_entry_;
  std::vector<std::string> waiting_;  // Entry names of folders yet to be listed.
  std::vector<Entry> entries_;
  std::vector<Stamp> stamps_;
  std::size_t hard_linked_files_ = 0;
  std::size_t holes_ = 0;  // In all entries, before the smallest are dropped.
};

// The path without symlinks, as far as its folders exist.
std::filesystem::path resolved(const std::filesystem::path& path) {
  std::error_code error;
  auto real = std::filesystem::weakly_canonical(path, error);
  if (!error) return real;
  errno = error.value();
  throw_disk_failure("resolve", path);
}

bool is_same_or_below(const std::filesystem::path& path, const std::filesystem::path& folder) {
  const auto [mismatch, rest] =
      std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  static_cast<void>(rest);
  return mismatch == folder.end();
}

}  // namespace

std::filesystem::path shown_path(const Location& payload, const Entry& entry) {
  return entry.name.empty() ? payload.shown : payload.shown / entry.name;
}

Location locate(const std::filesystem::path& folder, std::string_view name) {
  Descriptor opened(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!opened) throw_disk_failure("open the folder", folder);
  return {std::make_shared<const Descriptor>(std::move(opened)), std::string(name), folder / name};
}

std::variant<Location, Refusal> locate_task(const TaskPath& task,
                                            const std::vector<std::filesystem::path>& roots,
                                            const std::filesystem::path& repo) {
  const auto root = root_of(task, roots);
  if (!root) {
    return refuse(task.text(), "lies below no --source-root: move it there, or allow its folder");
  }
  const Descriptor root_folder(open(root->c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root_folder) throw_disk_failure("open the --source-root", *root);
  const std::filesystem::path path(task.text());
  const auto below = path.parent_path().lexically_relative(root->lexically_normal());
  auto folder = open_beneath(root_folder, below, O_PATH | O_DIRECTORY);
  if (!folder) {
    // The kernel reports a symlink in the path by either of these.
    if (errno != ELOOP && errno != ENOTDIR) return refuse_unreadable(path);
    return refuse(path, "passes through a symlink or a file: set the path that it leads to");
  }
  const auto real_repo = resolved(repo);
  const auto state = real_repo / kStateFolderName;
  const auto real = resolved(path.parent_path()) / task.name();
  if (real.parent_path() == real_repo) {
    return refuse(path,
                  "is itself the place where it would be published: set a copy outside --repo");
  }
  if (is_same_or_below(real, state) || is_same_or_below(state, real)) {
    return refuse(path, "holds, or lies in, the state folder of sync-fanout: set another path");
  }
  return Location{std::make_shared<const Descriptor>(std::move(folder)), task.name(), path};
}

bool is_fault_of_task(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case EXDEV:  // openat2(2): it leads out of the folder.
    case EACCES:
    case EPERM:
    case ENAMETOOLONG:
    case ENXIO:  // A socket or device is there now.
      return true;
    default:
      return false;
  }
}

std::variant<Payload, Refusal> list_payload(const Location& payload, const std::stop_token& stop,
                                            const OnEntry& on_entry) {
  return Lister(payload, stop, on_entry).list();
}

Descriptor open_entry(const Location& payload, const Entry& entry) {
  // O_NONBLOCK: a FIFO that has replaced the file must not block the caller.
  return open_beneath(*payload.folder, path_of(payload, entry.name), O_RDONLY | O_NONBLOCK);
}

Descriptor open_regular_entry(const Location& payload, const Entry& entry) {
  auto file = open_entry(payload, entry);
  if (file && !S_ISREG(status_of(file).st_mode)) return Descriptor();
  return file;
}

Stamp stamp_of(const Descriptor& file) { return stamp_of(status_of(file)); }

Density density_of(const Entry& entry) {
  return entry.holes.empty() ? Density::dense : Density::sparse;
}

Fingerprint fingerprint_of(const TaskPath& task, const Manifest& manifest,
                           std::uint64_t piece_bytes) {
  Hasher hasher;
  hasher.update(fmt::format("{}{}{}{}", task.text(), '\0', piece_bytes, '\0'));
  for (const Entry& entry : manifest.entries()) {
    for (const Hole& hole : entry.holes) {
      if (piece_bytes > 0) hasher.update(fmt::format("{}+{},", hole.offset, hole.bytes));
    }
    hasher.update(fmt::format("{} {:o} {}.{} {} {}{}{}{}", static_cast<int>(entry.kind), entry.mode,
                              entry.mtime.seconds, entry.mtime.nanoseconds, entry.size, entry.name,
                              '\0', entry.target, '\0'));
  }
  return Fingerprint::parse(hasher.finish().hex().substr(0, 32)).value();
}

std::string encode_stamps(const std::vector<Stamp>& stamps) {
  std::string text;
  for (const Stamp& stamp : stamps) {
    text += fmt::format("{} {} {} {}.{:09} {}.{:09}\n", stamp.device, stamp.inode, stamp.size,
                        stamp.mtime.seconds, stamp.mtime.nanoseconds, stamp.ctime.seconds,
                        stamp.ctime.nanoseconds);
  }
  return text;
}

}  // namespace libsync
