// Digests, ids and bitmaps, as Redis and the files of a spool hold them.

#include "target.h"

#include "libsync/core/digest.h"
#include "libsync/core/pieces.h"
#include "libsync/core/run_ids.h"

namespace libsync::fuzz {
namespace {

void check_bitmap(PieceNumber pieces, std::string_view bitmap) {
  const auto set = PieceSet::from_bitmap(pieces, bitmap);
  if (!set) return;
  require(set->bitmap() == bitmap, "a set is its bitmap");
  require(set->size() <= pieces, "a set has pieces of the payload alone");
  PieceSet again(pieces);
  for (const auto piece : set->members()) {
    require(piece < pieces, "a member is a piece of the payload");
    again.insert(piece);
  }
  require(again == *set, "a set is its members");
}

}  // namespace

void check(std::string_view input) {
  if (const auto digest = Digest::parse(input)) {
    require(digest->hex() == input, "a digest is its digits");
    require(Digest::from_raw(digest->raw()) == digest, "a digest is its bytes");
    require(Digest::parse_named(digest->named()) == digest, "a digest survives its name");
  }
  if (const auto digest = Digest::parse_named(input)) {
    require(digest->named() == input, "a digest is its text");
  }
  if (const auto digest = Digest::from_raw(input)) {
    require(digest->raw() == input, "a digest is its bytes");
    require(Digest::parse(digest->hex()) == digest, "a digest survives its digits");
  }
  if (const auto id = RunId::parse(input)) require(id->text() == input, "an id is its text");
  if (input.empty()) return;
  // The first byte chooses how many of the last bits are unused.
  const auto bitmap = input.substr(1);
  const auto all = static_cast<PieceNumber>(std::min<std::size_t>(bitmap.size(), 512) * 8);
  const auto unused = static_cast<PieceNumber>(input.front() & 7);
  check_bitmap(all, bitmap);
  if (all > unused) check_bitmap(all - unused, bitmap);
}

}  // namespace libsync::fuzz
