#pragma once

// The record of a staging: which pieces the master has cut, with their digests and sums.
//
// A file with a line for each piece, and `staged` as its last line once all pieces are on record:
//
//     17 <digest in hex> <sum in hex>
//
// The master appends a line before it announces the piece, so that a later tick announces the same
// digest or none. A crash may cut the last line, and an older version wrote no sums. Pure.

#include <map>
#include <string>
#include <string_view>

#include "libsync/core/pieces.h"

namespace libsync {

struct StagingRecord {
  std::map<PieceNumber, StagedPiece> digests;
  bool is_complete = false;  ///< All pieces are on record, and the payload had not changed.
  bool is_torn = false;      ///< The last line was cut short.
};

/// Reads whole lines, and skips those that are malformed. The last line of a piece counts.
[[nodiscard]] StagingRecord decode_staging_record(std::string_view text);

/// The line of a piece.
[[nodiscard]] std::string staging_line(const StagedPiece& piece);

/// The last line of a complete record.
[[nodiscard]] std::string staging_end_line();

}  // namespace libsync
