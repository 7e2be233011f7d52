#pragma once

// Deletes trees, one entry at a time, so that a caller can stop between any two.
//
// A deletion passes through no symlink and enters no mount point. It moves each inner folder up to
// the top of the tree before it empties that folder. So it needs a few descriptors and short names,
// however deep the tree is. A deletion that was stopped, or died, goes on with the next call.
//
// The functions have no state, so any thread may call them.

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>

namespace libsync {

/// Deletes a tree, even if it has folders that are not writable. It may not exist. False if `stop`
/// was requested before the end. Throws Failure (local) for the first entry that the kernel keeps,
/// after the others are deleted.
bool remove_tree(const std::filesystem::path& path, const std::stop_token& stop = {});

/// The same for a tree on which nothing depends: returns the reason of a failure, or nothing.
[[nodiscard]] std::optional<std::string> try_remove_tree(const std::filesystem::path& path,
                                                         const std::stop_token& stop = {});

}  // namespace libsync
