#include "minion/assembly.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "libsync/core/ownership.h"
#include "minion/old_copy.h"
#include "os/descriptor.h"
#include "os/file_ranges.h"
#include "os/files.h"
#include "os/limits.h"
#include "store/replaced.h"
#include "store/served_files.h"

namespace libsync {
namespace {

// Only this process reads or writes the tree.
constexpr unsigned kWorkingFileMode = 0600;
constexpr unsigned kWorkingFolderMode = 0700;

// Above this many files one syncfs(2) costs less than an fsync(2) each, even if the file system has
// other things to write as well: ./tests/bench/small
constexpr std::size_t kLargeTree = 1000;
// This many new files of a large tree go to the disk together while pieces still come. At the end
// the disk alone would be at work: ./tests/bench/small
constexpr std::size_t kSyncEvery = 2000;
// This many files of a smaller tree go to the disk together. The first fsync(2) commits the journal
// for all files whose contents the disk has begun to write. They stay open until then.
constexpr std::size_t kSyncTogether = 256;

// This many files of a piece stay open from the copy to the verdict on the piece. The others are
// opened again.
constexpr std::size_t kKeptOpen = 256;

// Each of these two sets of open files has this part of the limit of open files. The pulls, the
// connection to Redis and the log have the rest.
constexpr std::size_t kPartOfLimit = 4;

// The disk begins to write a range of this length as soon as it is in place. The kernel alone would
// begin after 30 s, or when a tenth of the memory waits, and so after the last piece. For shorter
// ranges a disk would seek more than it writes: ./tests/bench/disk
constexpr std::uint64_t kWorthASeek = std::uint64_t{1} << 20U;

// The time of access stays.
std::array<timespec, 2> times_of(const Entry& entry) {
  return {timespec{0, UTIME_OMIT},
          timespec{entry.mtime.seconds, static_cast<long>(entry.mtime.nanoseconds)}};
}

void set_times(const Descriptor& file, const Entry& entry) {
  if (futimens(file.number(), times_of(entry).data()) != 0) {
    throw_disk_failure("set the times of", file);
  }
}

void set_size(const Descriptor& file, std::uint64_t size) {
  if (static_cast<std::uint64_t>(status_of(file).st_size) != size &&
      ftruncate(file.number(), static_cast<off_t>(size)) != 0) {
    throw_disk_failure("set the size of", file);
  }
}

bool ends_its_file(const Segment& segment, const Entry& entry) {
  return segment.offset + segment.bytes == data_end(entry);
}

bool is_all_of_its_file(const Segment& segment, const Entry& entry) {
  return segment.offset == data_begin(entry) && ends_its_file(segment, entry);
}

void send_to_disk(const Segment& segment, const Descriptor& file) {
  if (segment.bytes >= kWorthASeek) begin_writing(file, segment.offset, segment.bytes);
}

// The group that a setgid repo gives; nothing if it gives none, or if owners are carried.
std::optional<unsigned> group_of(const std::filesystem::path& repo, Ownership ownership) {
  const auto status = status_of(repo / ".");
  if (ownership == Ownership::carried || !status || (status->st_mode & S_ISGID) == 0) {
    return std::nullopt;
  }
  return status->st_gid;
}

std::size_t count_files(const Manifest& manifest) {
  return static_cast<std::size_t>(
      std::count_if(manifest.entries().begin(), manifest.entries().end(),
                    [](const Entry& entry) { return entry.kind != EntryKind::folder; }));
}

}  // namespace

Assembly::Assembly(const Spool& spool, Manifest manifest, std::uint64_t piece_bytes,
                   std::filesystem::path repo, std::string name, Ownership ownership)
    : spool_(spool),
      top_(spool_.tree_folder() / "payload"),
      manifest_(std::move(manifest)),
      layout_(manifest_, piece_bytes),
      repo_(std::move(repo)),
      name_(std::move(name)),
      ownership_(ownership),
      group_(group_of(repo_, ownership)),
      sync_together_(std::min(kSyncTogether, open_file_limit() / kPartOfLimit)),
      kept_open_(std::min(kKeptOpen, open_file_limit() / kPartOfLimit)),
      in_place_(layout_.cut().pieces()),
      work_(count_files(manifest_), manifest_.bytes()) {}

Assembly::~Assembly() = default;

void Assembly::begin(const std::stop_token& stop) {
  // The counts must be right before anything fails, because calls already wait behind this one.
  opened_.reset();
  in_place_ = PieceSet(layout_.cut().pieces());
  missing_bytes_.clear();
  for (const Entry& entry : manifest_.entries()) missing_bytes_.push_back(data_bytes(entry));
  unsynced_.clear();
  unsynced_files_ = 0;
  work_.restart();
  work_.begin(LocalWork::Phase::making);
  if (!clear(stop)) return;
  make_folder(spool_.tree_folder(), kWorkingFolderMode);
  for (const Entry& entry : manifest_.entries()) {
    if (stop.stop_requested()) return;
    const auto path = working_path(entry);
    if (entry.kind == EntryKind::folder) {
      make_folder(path, kWorkingFolderMode);
    } else if (entry.kind == EntryKind::link) {
      if (symlink(entry.target.c_str(), path.c_str()) != 0) throw_disk_failure("make", path);
    } else if (!has_data(entry)) {
      const auto file = open_working_file(entry, kWorkingFileMode);
      set_size(file, entry.size);
    }
    if (entry.kind != EntryKind::folder && !has_data(entry)) work_.copy_one();
  }
}

bool Assembly::adopt(PieceNumber piece, const Digest& digest, const OldCopy& old,
                     const std::stop_token& stop) {
  if (in_place_.contains(piece)) return true;
  work_.begin(LocalWork::Phase::assembling);
  work_.begin_piece();
  const auto segments = layout_.segments(piece);
  Hasher hasher;
  for (const Segment& segment : segments) {
    const Entry& entry = manifest_.entries()[segment.entry];
    const auto from = old.open(segment.entry);
    if (!from || stop.stop_requested()) return false;
    const auto file = open_for(segment);
    set_size(file, entry.size);
    if (!copy_range(from, segment.offset, file, segment.offset, segment.bytes, density_of(entry),
                    stop, work_.copied())) {
      return false;
    }
    send_to_disk(segment, file);
    if (ends_its_file(segment, entry)) work_.copy_one();
    if (!hash_range(hasher, file, segment.offset, segment.bytes, stop, work_.hashed())) {
      return false;
    }
  }
  if (hasher.finish() != digest) return false;
  for (const Segment& segment : segments) {
    if (!add_segment(segment, open_for(segment), stop)) return false;
  }
  put_in_place(piece);
  return true;
}

void Assembly::put_in_place(PieceNumber piece) {
  in_place_.insert(piece);
  work_.end_piece(layout_.cut().bytes_of(piece));
}

Verdict Assembly::splice(PieceNumber piece, const Digest& digest, const std::stop_token& stop) {
  if (in_place_.contains(piece)) return Verdict::good;
  const auto path = spool_.piece_path(piece);
  const auto status = status_of(path);
  if (!status || static_cast<std::uint64_t>(status->st_size) != layout_.cut().bytes_of(piece)) {
    return Verdict::absent;
  }
  return splice(piece, open_file(path, O_RDONLY), digest, stop);
}

Verdict Assembly::splice(PieceNumber piece, const Descriptor& from, const Digest& digest,
                         const std::stop_token& stop) {
  const auto segments = layout_.segments(piece);
  const bool is_in_place = in_place_.contains(piece);
  work_.begin(LocalWork::Phase::assembling);
  work_.begin_piece();
  std::vector<Descriptor> files;
  std::uint64_t offset = 0;
  for (const Segment& segment : segments) {
    if (is_in_place) break;
    auto file = open_for(segment);
    if (!copy_segment(from, offset, segment, file, stop)) return Verdict::absent;
    offset += segment.bytes;
    if (files.size() < kept_open_) files.push_back(std::move(file));
  }
  // After the copy: a byte that changed before it is in both files.
  Hasher hasher;
  if (!hash_range(hasher, from, 0, layout_.cut().bytes_of(piece), stop, work_.hashed())) {
    return Verdict::absent;
  }
  if (hasher.finish() != digest) return Verdict::bad;
  if (is_in_place) return Verdict::good;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    auto file = i < files.size() ? std::move(files[i]) : open_for(segments[i]);
    if (!add_segment(segments[i], std::move(file), stop)) return Verdict::absent;
  }
  put_in_place(piece);
  return Verdict::good;
}

bool Assembly::copy_segment(const Descriptor& from, std::uint64_t offset, const Segment& segment,
                            const Descriptor& file, const std::stop_token& stop) const {
  const Entry& entry = manifest_.entries()[segment.entry];
  if (!copy_range_past_cache(from, offset, file, segment.offset, segment.bytes, density_of(entry),
                             stop, work_.copied())) {
    return false;
  }
  send_to_disk(segment, file);
  if (ends_its_file(segment, entry)) work_.copy_one();
  // The file may end with a hole. Setting the size first would cost each of many small files more.
  if (!entry.holes.empty()) set_size(file, entry.size);
  return true;
}

// The last segment of a file finishes it. False if it was stopped.
bool Assembly::add_segment(const Segment& segment, Descriptor file, const std::stop_token& stop) {
  auto& missing = missing_bytes_[segment.entry];
  missing -= segment.bytes;
  return missing > 0 || finish(std::move(file), manifest_.entries()[segment.entry], stop);
}

void Assembly::complete(const std::stop_token& stop) {
  work_.begin(LocalWork::Phase::assembling);
  // Children before their folder, whose times they would change.
  for (std::size_t i = manifest_.entries().size(); i-- > 0;) {
    const Entry& entry = manifest_.entries()[i];
    if (stop.stop_requested()) return;
    if (entry.kind == EntryKind::link) {
      finish_link(entry);
    } else if (!has_data(entry)) {
      const int flags = entry.kind == EntryKind::folder ? O_RDONLY : O_RDWR;
      if (!finish(open_file(working_path(entry), flags), entry, stop)) return;
    }
  }
  work_.begin(LocalWork::Phase::syncing);
  static_cast<void>(put_on_disk(stop));
  work_.begin(LocalWork::Phase::none);
}

void Assembly::publish() {
  const auto from = working_path(manifest_.top());
  const auto to = repo_ / name_;
  const bool is_folder = manifest_.top().kind == EntryKind::folder;
  const auto replaced = status_of(to);
  // A move into another folder changes `..`, so the moved folder has to be writable.
  const bool must_open = is_folder && geteuid() != 0;
  if (must_open) {
    chmod(from.c_str(), mode_of(manifest_.top()) | S_IRWXU);
    if (replaced) chmod(to.c_str(), (replaced->st_mode & 07777U) | S_IRWXU);
  }
  if (!replaced) {
    rename_path(from, to);
  } else {
    const auto kept = ReplacedVersions(spool_.folder().parent_path())
                          .make_way(name_, spool_.record(Role::minion));
    rename_path(from, kept);
    // A file system without an exchange can replace a file all the same, and keeps no version.
    if (is_folder) {
      exchange_paths(kept, to);
    } else if (!try_exchange_paths(kept, to)) {
      rename_path(kept, to);
    }
  }
  if (is_folder) {
    // XFS sets the time of an exchanged folder to that of the exchange.
    const auto top = open_file(to, O_RDONLY);
    set_times(top, manifest_.top());
    if (must_open) fchmod(top.number(), mode_of(manifest_.top()));
    sync_file(top);
  }
  sync_path(repo_ / ".");
}

void Assembly::restore_time() const {
  const Entry& top = manifest_.top();
  const auto path = repo_ / name_;
  const auto status = status_of(path);
  if (top.kind != EntryKind::folder || !status || mtime_of(*status) == top.mtime) return;
  if (utimensat(AT_FDCWD, path.c_str(), times_of(top).data(), AT_SYMLINK_NOFOLLOW) != 0) {
    throw_disk_failure("set the times of", path);
  }
  sync_path(repo_ / ".");
}

bool Assembly::clear(const std::stop_token& stop) const { return spool_.clear_tree(stop); }

std::filesystem::path Assembly::working_path(const Entry& entry) const {
  return entry.name.empty() ? top_ : top_ / entry.name;
}

// The files of one folder come one after the other, so its path is walked once.
Descriptor Assembly::open_working_file(const Entry& entry, unsigned mode) {
  if (entry.name.empty()) return open_file(top_, O_RDWR | O_CREAT, mode);
  const auto slash = entry.name.rfind('/');
  const auto folder = slash == std::string::npos ? std::string() : entry.name.substr(0, slash);
  if (!opened_ || opened_name_ != folder) {
    opened_ = std::make_unique<Descriptor>(open_file(top_ / folder, O_PATH | O_DIRECTORY));
    opened_name_ = folder;
  }
  auto file = open_beneath(*opened_, entry.name.substr(slash + 1), O_RDWR | O_CREAT, mode);
  if (!file) throw_disk_failure("open", working_path(entry));
  return file;
}

// A file of a single segment gets its final mode at once, if the umask lets it. That saves many
// small files a change of mode.
Descriptor Assembly::open_for(const Segment& segment) {
  const Entry& entry = manifest_.entries()[segment.entry];
  const bool is_all = is_all_of_its_file(segment, entry);
  return open_working_file(entry,
                           is_all ? (mode_of(entry) & 0777U) | kWorkingFileMode : kWorkingFileMode);
}

// A set-id bit stays only if the owner is the same as on the origin. Another user's program must
// not become one of this user.
std::uint32_t Assembly::mode_of(const Entry& entry) const {
  auto mode = entry.mode;
  if (ownership_ == Ownership::carried || entry.kind != EntryKind::file) return mode;
  if (entry.uid != geteuid()) mode &= ~static_cast<std::uint32_t>(S_ISUID);
  if (entry.gid != group_.value_or(getegid())) mode &= ~static_cast<std::uint32_t>(S_ISGID);
  return mode;
}

void Assembly::finish_link(const Entry& entry) const {
  work_.complete_one();
  const auto path = working_path(entry);
  if (ownership_ == Ownership::carried && lchown(path.c_str(), entry.uid, entry.gid) != 0) {
    throw_disk_failure("give away", path);
  }
  if (group_) give_to_group(path, *group_);
  const auto times = times_of(entry);
  if (utimensat(AT_FDCWD, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0) {
    throw_disk_failure("set the times of", path);
  }
}

// False if it was stopped while it waited for the disk.
bool Assembly::finish(Descriptor file, const Entry& entry, const std::stop_token& stop) {
  if (entry.kind != EntryKind::folder) work_.complete_one();
  if (ownership_ == Ownership::carried && fchown(file.number(), entry.uid, entry.gid) != 0) {
    throw_disk_failure("give away", file);
  }
  if (group_) give_to_group(file, *group_);
  const auto mode = mode_of(entry);
  if ((status_of(file).st_mode & 07777U) != mode && fchmod(file.number(), mode) != 0) {
    throw_disk_failure("set the mode of", file);
  }
  set_times(file, entry);
  ++unsynced_files_;
  if (!is_large()) {
    if (entry.size > 0) begin_writing(file, 0, entry.size);
    unsynced_.push_back(std::move(file));
  }
  if (unsynced_files_ < (is_large() ? kSyncEvery : sync_together_)) return true;
  return put_on_disk(stop);
}

bool Assembly::put_on_disk(const std::stop_token& stop) {
  if (is_large()) sync_file_system(spool_.tree_folder());
  for (const Descriptor& file : unsynced_) {
    if (stop.stop_requested()) return false;
    sync_file(file);
  }
  unsynced_.clear();
  unsynced_files_ = 0;
  return true;
}

bool Assembly::is_large() const { return manifest_.entries().size() > kLargeTree; }

}  // namespace libsync
