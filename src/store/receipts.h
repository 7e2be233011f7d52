#pragma once

// What this host published last, and the command that it still has to run for it.
//
// A receipt names the very file or folder that was published, and the manifest that it was
// published from. A later tick sees by it whether the payload is still there. Written durably, so
// that a death between the swap and the end of the command does not lose the command.

#include <filesystem>
#include <optional>
#include <string>

#include "libsync/core/digest.h"

namespace libsync {

class Receipts {
 public:
  /// In `<repo>/.libsync`, which must be there.
  explicit Receipts(std::filesystem::path state_folder) : path_(std::move(state_folder)) {}

  /// Records that the payload at `destination` was published from this manifest.
  void write(const std::filesystem::path& destination, const Digest& manifest) const;

  /// Whether the file or folder at `destination` is the one that was published from this manifest.
  /// Its bytes may have been written to since.
  [[nodiscard]] bool has(const std::filesystem::path& destination, const Digest& manifest) const;

  /// From now on --after-publish is owed for this payload, as soon as it is published.
  void owe_hook(const std::string& payload_name, const Digest& manifest) const;

  /// The payload, by name, that is published and for which the command has not ended since.
  [[nodiscard]] std::optional<std::string> hook_owed() const;
  void hook_has_run() const;

 private:
  [[nodiscard]] std::filesystem::path path_of(const std::string& payload_name) const;

  std::filesystem::path path_;
};

}  // namespace libsync
