#pragma once

// A source, and the pieces to pull from it.

#include <optional>
#include <vector>

#include "libsync/core/address.h"
#include "libsync/core/attempt.h"
#include "libsync/core/pieces.h"
#include "libsync/core/run_ids.h"

namespace libsync {

/// Whether a pull brings the manifest too.
enum class Manifests { none, one };

struct Assignment {
  Address source;
  std::vector<StagedPiece> pieces;
  /// The claim that grants it: the source has the pieces and keeps a slot free. Nothing for a pull
  /// from a parent, which may not have the pieces yet.
  std::optional<Token> token;
  Manifests manifests = Manifests::none;
  Attempt attempt = Attempt::first;
};

}  // namespace libsync
