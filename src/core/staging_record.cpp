#include "libsync/core/staging_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "libsync/core/lines.h"
#include "libsync/core/number.h"

namespace libsync {
namespace {

constexpr std::string_view kEnd = "staged";
constexpr int kHexadecimal = 16;

// The text up to the next space, which leaves `text` with that space.
std::string_view pop_word(std::string_view& text) {
  const auto end = std::min(text.find(' '), text.size());
  const auto word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

std::optional<StagedPiece> decode_line(std::string_view line) {
  const auto piece = parse_number<PieceNumber>(pop_word(line));
  const auto digest = Digest::parse(pop_word(line));
  if (!piece || *piece >= kMaxPieces || !digest) return std::nullopt;
  // A former version has written a line without a sum. The sum is a hint, and zero is none.
  return StagedPiece{*piece, *digest, parse_number<RollingSum>(line, kHexadecimal).value_or(0)};
}

}  // namespace

StagingRecord decode_staging_record(std::string_view text) {
  StagingRecord record;
  record.is_torn = !text.empty() && !text.ends_with('\n');
  text = text.substr(0, text.rfind('\n') + 1);  // npos + 1 is 0.
  for (const auto line : lines_of(text)) {
    if (line == kEnd) record.is_complete = true;
    if (const auto staged = decode_line(line)) {
      record.digests.insert_or_assign(staged->piece, *staged);
    }
  }
  return record;
}

std::string staging_line(const StagedPiece& piece) {
  return fmt::format("{} {} {:x}\n", piece.piece, piece.digest.hex(), piece.sum);
}

std::string staging_end_line() { return fmt::format("{}\n", kEnd); }

}  // namespace libsync
