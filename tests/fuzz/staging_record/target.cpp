// The record of a staging, whose last line a crash may have cut, and the form of a piece in Redis.

#include "target.h"

#include "libsync/core/staging_record.h"

namespace libsync::fuzz {
namespace {

std::string encode(const StagingRecord& record) {
  std::string text;
  for (const auto& [piece, staged] : record.digests) text += staging_line(staged);
  if (record.is_complete) text += staging_end_line();
  return text;
}

void check_record(std::string_view input) {
  const auto record = decode_staging_record(input);
  require(record.is_torn == (!input.empty() && input.back() != '\n'), "a torn line is seen");
  for (const auto& [piece, staged] : record.digests) {
    require(piece < kMaxPieces && staged.piece == piece, "a run has few pieces");
  }
  const auto text = encode(record);
  const auto again = decode_staging_record(text);
  require(again.digests == record.digests && again.is_complete == record.is_complete,
          "a record survives its lines");
  // A crash cuts it anywhere, and the rest says nothing that the whole does not say.
  const auto cut = decode_staging_record(text.substr(0, input.size() % (text.size() + 1)));
  for (const auto& [piece, staged] : cut.digests) {
    require(record.digests.at(piece) == staged, "a cut record has no other digest");
  }
  // The next tick ends the torn line before it writes another one.
  const auto mended = decode_staging_record(std::string(input) + "\n" + text);
  require(mended.digests.size() >= record.digests.size(), "a mended record has all pieces");
  for (const auto& [piece, staged] : record.digests) {
    require(mended.digests.at(piece) == staged, "the last line of a piece counts");
  }
}

void check_staged(std::string_view input) {
  const auto staged = decode_staged(kMaxPieces - 1, input);
  require(staged.has_value() == (input.size() == kStagedBytes), "its length alone decides");
  if (staged) require(libsync::encode(*staged) == input, "a piece survives encode()");
}

}  // namespace

void check(std::string_view input) {
  check_record(input);
  check_staged(input);
}

}  // namespace libsync::fuzz
