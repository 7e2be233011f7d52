#pragma once

// The payload that a host published last, as it keeps it for `status`.
//
// Only the text form is here; store/notes.h keeps it in a file. No program decides anything by it.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "libsync/core/address.h"
#include "libsync/core/digest.h"
#include "libsync/core/pieces.h"
#include "libsync/core/run_ids.h"
#include "libsync/core/task.h"
#include "libsync/core/time.h"

namespace libsync {

struct PublishedNote {
  RunId run;
  TaskPath task;
  Digest manifest;
  std::uint64_t bytes = 0;  ///< Length of the stream.
  PieceNumber pieces = 0;
  std::uint64_t wire_bytes = 0;  ///< Bytes that this host has pulled.
  Duration took{0};
  std::map<Address, PieceNumber> fed_by{};  ///< The pieces that came from each source.

  friend bool operator==(const PublishedNote&, const PublishedNote&) = default;
};

/// One line for each value, and one for each source.
[[nodiscard]] std::string encode(const PublishedNote& note);

/// Nothing, unless encode() could have written the text.
[[nodiscard]] std::optional<PublishedNote> decode_published_note(std::string_view text);

}  // namespace libsync
