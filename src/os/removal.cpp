#include "os/removal.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <set>

#include "libsync/core/failure.h"
#include "libsync/core/run_ids.h"
#include "os/descriptor.h"
#include "os/random.h"

namespace libsync {
namespace {

constexpr int kFolder = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

struct Closer {
  void operator()(DIR* stream) const { closedir(stream); }
};

bool is_absent(int error) { return error == ENOENT || error == ENOTDIR; }

// Opens a folder, and gives this user all rights on it. Empty on failure.
Descriptor open_up(int parent, const char* name) {
  const Descriptor found(openat(parent, name, O_PATH | kFolder));
  if (!found) return {};
  // fchmod(2) refuses such a descriptor, and a path could lead elsewhere by now.
  const auto by_number = fmt::format("/proc/self/fd/{}", found.number());
  struct stat status {};
  if (fstat(found.number(), &status) == 0 && (status.st_mode & S_IRWXU) != S_IRWXU) {
    static_cast<void>(chmod(by_number.c_str(), (status.st_mode & 07777U) | S_IRWXU));
  }
  return Descriptor(openat(found.number(), ".", O_RDONLY | kFolder));
}

enum class Outcome { deleted, full_folder, kept };

// Deletes one name. If the kernel keeps it, errno says why.
Outcome delete_name(int parent, const char* name) {
  if (unlinkat(parent, name, 0) == 0 || is_absent(errno)) return Outcome::deleted;
  const int refusal = errno;
  // unlink(2) refuses a folder by either.
  if (refusal != EISDIR && refusal != EPERM) return Outcome::kept;
  if (unlinkat(parent, name, AT_REMOVEDIR) == 0) return Outcome::deleted;
  if (errno == ENOTEMPTY || errno == EEXIST) return Outcome::full_folder;
  if (errno == ENOTDIR) errno = refusal;
  return Outcome::kept;
}

class Removal {
 public:
  Removal(const Descriptor& top, const std::stop_token& stop) : top_(top), stop_(stop) {}

  // Deletes all that can be deleted. False if it was stopped.
  bool run() {
    do {
      has_progress_ = false;
      if (!empty(top_)) return false;
    } while (has_progress_);
    return true;
  }

  void throw_first_failure() const {
    if (first_error_ == 0) return;
    errno = first_error_;
    throw_disk_failure("delete", first_path_);
  }

 private:
  [[nodiscard]] bool is_top(const Descriptor& folder) const { return &folder == &top_; }

  bool empty(const Descriptor& folder) {
    const int own = dup(folder.number());
    const std::unique_ptr<DIR, Closer> stream(own < 0 ? nullptr : fdopendir(own));
    if (!stream) {
      if (own >= 0) close(own);
      note(folder, "");
      return true;
    }
    rewinddir(stream.get());
    while (const dirent* const found = readdir(stream.get())) {
      const std::string name(found->d_name);
      if (name == "." || name == "..") continue;
      if (stop_.stop_requested()) return false;
      if (is_top(folder) && kept_.contains(name)) continue;
      if (!remove(folder, name)) return false;
    }
    return true;
  }

  // False if it was stopped.
  bool remove(const Descriptor& folder, const std::string& name) {
    const auto outcome = delete_name(folder.number(), name.c_str());
    if (outcome == Outcome::deleted) return progress();
    if (outcome == Outcome::kept) return keep(folder, name);
    // A folder that moves needs to be writable itself.
    const auto inner = open_up(folder.number(), name.c_str());
    if (!inner) return keep(folder, name);
    if (!is_top(folder)) {
      const auto fresh = random_name<Token>().text();
      const bool is_moved =
          renameat(folder.number(), name.c_str(), top_.number(), fresh.c_str()) == 0;
      return is_moved ? progress() : keep(folder, name);
    }
    if (!empty(inner)) return false;
    const bool is_deleted = delete_name(folder.number(), name.c_str()) == Outcome::deleted;
    return is_deleted ? progress() : keep(folder, name);
  }

  bool progress() {
    has_progress_ = true;
    return true;
  }

  bool keep(const Descriptor& folder, const std::string& name) {
    note(folder, name);
    if (is_top(folder)) kept_.insert(name);
    return true;
  }

  void note(const Descriptor& folder, const std::string& name) {
    if (first_error_ != 0) return;
    first_error_ = errno;
    first_path_ = path_of(folder) / name;
  }

  const Descriptor& top_;
  const std::stop_token& stop_;
  std::set<std::string> kept_;  // Names at the top that the kernel keeps.
  bool has_progress_ = false;
  int first_error_ = 0;
  std::filesystem::path first_path_;
};

}  // namespace

bool remove_tree(const std::filesystem::path& path, const std::stop_token& stop) {
  const auto outcome = delete_name(AT_FDCWD, path.c_str());
  if (outcome == Outcome::deleted) return true;
  if (outcome == Outcome::kept) throw_disk_failure("delete", path);
  const auto top = open_up(AT_FDCWD, path.c_str());
  if (!top) throw_disk_failure("delete", path);
  Removal removal(top, stop);
  if (!removal.run()) return false;
  if (delete_name(AT_FDCWD, path.c_str()) == Outcome::deleted) return true;
  removal.throw_first_failure();
  throw_disk_failure("delete", path);
}

std::optional<std::string> try_remove_tree(const std::filesystem::path& path,
                                           const std::stop_token& stop) {
  try {
    static_cast<void>(remove_tree(path, stop));
    return std::nullopt;
  } catch (const Failure& failure) {
    return failure.what();
  }
}

}  // namespace libsync
