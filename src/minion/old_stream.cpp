#include "minion/old_stream.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <variant>

#include "os/descriptor.h"
#include "os/file_ranges.h"
#include "os/files.h"

namespace libsync {
namespace {

// Bytes that are read at a time.
constexpr std::size_t kPart = std::size_t{256} << 10U;
// The sample has this many parts of the stream, each as long as two pieces. A payload of which half
// is old shows it in all but one of 30 cases. A shorter stream is read at once.
constexpr std::uint64_t kSamples = 5;

}  // namespace

// Reads the stream from an offset on. Bytes that are missing by now read as zeros.
class OldStream::Reader {
 public:
  Reader(const OldStream& stream, std::uint64_t offset) : stream_(stream), offset_(offset) {}

  std::string_view next(std::size_t bytes) {
    buffer_.assign(bytes, '\0');
    std::size_t filled = 0;
    for (const auto& [source, segment] : stream_.parts(offset_, bytes)) {
      const Entry* const entry = &source->manifest.entries()[segment.entry];
      if (entry_ != entry) opened_ = open_regular_entry(source->location, *entry);
      entry_ = entry;
      if (opened_) read_part(segment, filled);
      filled += static_cast<std::size_t>(segment.bytes);
    }
    offset_ += bytes;
    return buffer_;
  }

 private:
  void read_part(const Segment& segment, std::size_t filled) {
    const auto part = static_cast<std::size_t>(segment.bytes);
    for (std::size_t done = 0; done < part;) {
      const auto got = pread(opened_.number(), buffer_.data() + filled + done, part - done,
                             static_cast<off_t>(segment.offset + done));
      if (got < 0) throw_disk_failure("read", opened_);
      if (got == 0) return;
      done += static_cast<std::size_t>(got);
    }
  }

  const OldStream& stream_;
  std::uint64_t offset_;
  const Entry* entry_ = nullptr;  // That of the file that is open.
  Descriptor opened_;
  std::string buffer_;
};

OldStream::OldStream(const std::vector<Location>& locations, const std::stop_token& stop) {
  for (const auto& location : locations) {
    auto listed = list_payload(location, stop);
    auto* const there = std::get_if<Payload>(&listed);
    if (there == nullptr) continue;
    StreamMap map(there->manifest);
    const auto begin = bytes_;
    bytes_ += map.bytes();
    sources_.push_back({location, std::move(there->manifest), std::move(map), begin});
  }
}

std::vector<OldStream::Part> OldStream::parts(std::uint64_t offset, std::uint64_t bytes) const {
  std::vector<Part> all;
  for (const Source& source : sources_) {
    const auto from = std::max(offset, source.begin);
    const auto to = std::min(offset + bytes, source.begin + source.map.bytes());
    if (from >= to) continue;
    for (const Segment& segment : source.map.segments(from - source.begin, to - from)) {
      all.push_back({&source, segment});
    }
  }
  return all;
}

void OldStream::scan(BlockFinder& finder, std::uint64_t length, std::uint64_t from,
                     std::uint64_t to, std::vector<BlockFinder::Block>& found,
                     const std::stop_token& stop, ByteCount* count) const {
  Reader entering(*this, from);
  Reader leaving(*this, from);
  const std::string unused(kPart, '\0');
  finder.begin(from);
  for (auto at = from; at < to && !stop.stop_requested();) {
    // Until a block is complete, no byte leaves it.
    const auto most = at < from + length ? from + length - at : to - at;
    const auto bytes = static_cast<std::size_t>(std::min({most, to - at, std::uint64_t{kPart}}));
    const auto leave =
        at < from + length ? std::string_view(unused).substr(0, bytes) : leaving.next(bytes);
    finder.add(entering.next(bytes), leave, found);
    at += bytes;
    if (count != nullptr) *count += bytes;
  }
}

bool OldStream::is_worth_reading(const Source& source, std::uint64_t length,
                                 const std::vector<RollingSum>& sums, const std::stop_token& stop,
                                 ByteCount* count) const {
  const auto bytes = source.map.bytes();
  if (bytes < length) return false;
  if (bytes <= 4 * kSamples * length) return true;
  BlockFinder finder(length, sums);
  std::vector<BlockFinder::Block> found;
  for (std::uint64_t sample = 0; sample < kSamples && found.empty(); ++sample) {
    const auto from = bytes / kSamples * sample;
    scan(finder, length, source.begin + from, source.begin + std::min(bytes, from + 2 * length),
         found, stop, count);
  }
  return !found.empty();
}

std::vector<BlockFinder::Block> OldStream::find(const Cut& cut, const std::vector<RollingSum>& sums,
                                                const std::stop_token& stop,
                                                ByteCount* count) const {
  const auto length = cut.piece_bytes;
  std::vector<BlockFinder::Block> found;
  auto whole = sums;
  if (cut.bytes_of(cut.pieces() - 1) < length && whole.size() == cut.pieces()) whole.back() = 0;
  const bool is_any_known =
      std::any_of(whole.begin(), whole.end(), [](auto sum) { return sum > 0; });
  if (!is_any_known) return found;
  BlockFinder finder(length, whole);
  for (const Source& source : sources_) {
    if (!is_worth_reading(source, length, whole, stop, count)) continue;
    scan(finder, length, source.begin, source.begin + source.map.bytes(), found, stop, count);
  }
  if (stop.stop_requested()) found.clear();
  return found;
}

bool OldStream::copy(std::uint64_t offset, std::uint64_t bytes, const Descriptor& to,
                     std::uint64_t to_offset, const std::stop_token& stop, ByteCount* count) const {
  if (bytes > bytes_ || offset > bytes_ - bytes) return false;
  for (const auto& [source, segment] : parts(offset, bytes)) {
    const Entry& entry = source->manifest.entries()[segment.entry];
    const auto from = open_regular_entry(source->location, entry);
    if (!from || !copy_range(from, segment.offset, to, to_offset, segment.bytes, density_of(entry),
                             stop, count)) {
      return false;
    }
    to_offset += segment.bytes;
  }
  return true;
}

std::vector<StreamRange> plan_between(PieceNumber piece, const Cut& cut, const FoundPieces& found,
                                      std::uint64_t old_bytes) {
  const auto length = cut.piece_bytes;
  const auto margin = length / 2;
  const auto after = found.lower_bound(piece);
  std::vector<StreamRange> ranges;
  std::uint64_t at = 0;
  // Signed: a piece before the first found one may begin before the stream.
  const auto add = [&](std::int64_t from, std::int64_t to) {
    const auto begin = static_cast<std::uint64_t>(std::max<std::int64_t>(from, 0));
    const auto end = std::min(static_cast<std::uint64_t>(std::max<std::int64_t>(to, 0)), old_bytes);
    if (from < 0)
      at += static_cast<std::uint64_t>(-from);  // A hole, so that the rest lies as far in.
    if (begin >= end) return;
    ranges.push_back({begin, at, end - begin});
    at += end - begin;
  };
  const auto signed_length = static_cast<std::int64_t>(length);
  const auto signed_margin = static_cast<std::int64_t>(margin);
  const auto expected_by = [&](const FoundPieces::value_type& near) {
    return static_cast<std::int64_t>(near.second) +
           signed_length *
               (static_cast<std::int64_t>(piece) - static_cast<std::int64_t>(near.first));
  };
  if (found.empty()) return ranges;
  const auto first = expected_by(after == found.begin() ? *after : *std::prev(after));
  const auto last = expected_by(after == found.end() ? *std::prev(after) : *after);
  if (first == last) {
    add(first - signed_margin, first + signed_length + signed_margin);
  } else {
    add(first - signed_margin, first + signed_length);
    add(last, last + signed_length + signed_margin);
  }
  return ranges;
}

}  // namespace libsync
