#pragma once

// Receipts: what this host published last, and whether it still owes the command for it.
//
// A receipt names the file or folder that was published, by inode, and the manifest that it was
// published from. By it a later tick sees whether the payload is still there. Receipts are durable,
// so a death between the swap and the end of the command does not lose the command.

#include <filesystem>
#include <optional>
#include <string>

#include "libsync/core/basis.h"
#include "libsync/core/digest.h"

namespace libsync {

/// The receipts of one repo. The minion's tick uses them from one thread, under its lock. Acts that
/// write throw Failure (local).
class Receipts {
 public:
  /// `state_folder` is `<repo>/.libsync`, which must exist.
  explicit Receipts(std::filesystem::path state_folder) : path_(std::move(state_folder)) {}

  /// Records that the payload at `destination` was published from this manifest, and what it had in
  /// common with its basis. It replaces the receipt of the same name in one step. If another
  /// program has removed the payload, it does nothing.
  void write(const std::filesystem::path& destination, const Digest& manifest,
             Kinship kinship = Kinship::unknown) const;

  /// Whether the file or folder at `destination` is the one that was published from this manifest.
  /// Another program may have changed its bytes since.
  [[nodiscard]] bool has(const std::filesystem::path& destination, const Digest& manifest) const;

  /// Whether the file or folder at `destination` is one that this host has published, and no other
  /// program has put another one in its place.
  [[nodiscard]] bool names(const std::filesystem::path& destination) const;

  /// The kinship that the receipt of this name records; unknown if there is none.
  [[nodiscard]] Kinship kinship(const std::string& payload_name) const;

  /// Records that --after-publish must run for this payload. The debt counts once the payload has
  /// its receipt.
  void owe_hook(const std::string& payload_name, const Digest& manifest) const;

  /// The name of a published payload whose command has not ended yet; nothing if none is owed.
  [[nodiscard]] std::optional<std::string> hook_owed() const;

  /// Clears the debt.
  void hook_has_run() const;

 private:
  [[nodiscard]] std::filesystem::path path_of(const std::string& payload_name) const;

  std::filesystem::path path_;
};

}  // namespace libsync
