#pragma once

// The folder in the state folder in which `check` tries things, `check-TOKEN`. It lasts as long as
// the check, which works beside ticks and beside other checks. On a host that has no state folder
// yet, that lasts as long, too.

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

#include "libsync/core/state_folder_name.h"
#include "store/state_folder.h"

namespace libsync {

class CheckFolder {
 public:
  /// Makes a folder that the rsync module can read. Deletes those of checks that died more than an
  /// hour ago. Throws Failure (local).
  CheckFolder(const std::filesystem::path& repo, std::chrono::system_clock::time_point now);
  /// Deletes the folder, and a state folder that it has made and that no tick uses by now.
  ~CheckFolder();
  CheckFolder(const CheckFolder&) = delete;
  CheckFolder& operator=(const CheckFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path state_folder() const { return path_.parent_path(); }
  /// Its name in the state folder, and in the repo.
  [[nodiscard]] std::string name() const { return path_.filename(); }
  [[nodiscard]] std::string name_in_repo() const { return in_state_folder(name()); }

  /// Writes a file that the module can read.
  void write(const std::string& name, std::string_view content) const;

  /// Sets the mode of a file in it.
  void restrict(const std::string& name, unsigned mode) const;

  /// Makes a folder in it that only this user can read, and returns its path.
  [[nodiscard]] std::filesystem::path make(const std::string& name) const;

  /// Whether the file system can swap two folders in one step.
  [[nodiscard]] bool can_exchange() const;

 private:
  std::filesystem::path path_;
  unsigned group_;
  bool has_made_state_;
};

}  // namespace libsync
