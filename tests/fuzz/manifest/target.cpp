// The manifest, which a source may have made up.

#include "target.h"

#include <array>
#include <map>

#include "libsync/core/manifest.h"
#include "libsync/core/pieces.h"

namespace libsync::fuzz {
namespace {

void check_entry(const Entry& entry) {
  const bool is_file = entry.kind == EntryKind::file;
  require(entry.mode <= 07777, "a mode has permission bits alone");
  require(entry.mtime.nanoseconds < 1'000'000'000, "nanoseconds are less than a second");
  require(is_file || (entry.size == 0 && entry.holes.empty()), "only a file has bytes or holes");
  require((entry.kind == EntryKind::link) != entry.target.empty(), "links alone have a target");
  require(entry.target.size() < 4096, "a target fits into a path");
  require(entry.target.find('\0') == std::string::npos, "a target has no NUL");
  require(entry.uid != 0xffffffffU && entry.gid != 0xffffffffU, "an owner is a user and a group");
}

void check_holes(const Entry& entry) {
  std::uint64_t end = 0;
  for (const auto& hole : entry.holes) {
    require(hole.bytes > 0, "a hole has bytes");
    require(hole.offset == 0 || hole.offset > end, "holes have bytes between them");
    require(hole.bytes <= entry.size && hole.offset <= entry.size - hole.bytes,
            "a hole lies in its file");
    end = hole.offset + hole.bytes;
  }
  require(has_data(entry) == (data_bytes(entry) > 0), "a file without bytes is all hole");
}

void check_names(const std::vector<Entry>& entries) {
  require(!entries.empty() && entries.front().name.empty(), "the payload is the first entry");
  require(entries.front().kind != EntryKind::link, "the payload is no link");
  std::map<std::string_view, EntryKind> listed{{"", entries.front().kind}};
  for (std::size_t i = 1; i < entries.size(); ++i) {
    const std::string_view name = entries[i].name;
    require(name.size() < 4096, "a name fits into a path");
    require(entries[i - 1].name < name, "names ascend");
    const auto slash = name.rfind('/');
    const bool is_below = slash != std::string_view::npos;
    const auto parent = is_below ? name.substr(0, slash) : std::string_view();
    require(is_component(is_below ? name.substr(slash + 1) : name), "a name stays in its folder");
    const auto found = listed.find(parent);
    require(found != listed.end() && found->second == EntryKind::folder,
            "the parent of an entry is a folder before it");
    listed[name] = entries[i].kind;
  }
}

// A child with a name that leaves its folder spoils the manifest. `choice` chooses the name.
void check_hostile_name(const Manifest& manifest, std::size_t choice) {
  constexpr std::array<std::string_view, 6> kNames = {"..", ".", "/a", "a/", "../a", "./a"};
  if (manifest.entries().size() < 2) return;
  auto child = manifest.entries().back();
  child.name = kNames[choice % kNames.size()];
  const Manifest hostile({manifest.top(), child});
  require(std::holds_alternative<Malformed>(Manifest::decode(hostile.encode())),
          "a name that leaves its folder is refused");
}

// The segments of the first and the last piece cover these pieces, and lie in files.
void check_layout(const Manifest& manifest) {
  const Layout layout(manifest, choose_piece_bytes(manifest.bytes(), 9));
  const auto pieces = layout.cut().pieces();
  require(pieces >= 1 && pieces <= kMaxPieces, "a cut by `auto` has a legal number of pieces");
  for (const auto piece : {PieceNumber{0}, pieces - 1}) {
    std::uint64_t bytes = 0;
    for (const auto& segment : layout.segments(piece)) {
      const Entry& file = manifest.entries().at(segment.entry);
      require(segment.bytes > 0 && segment.bytes <= file.size, "a segment fits into its file");
      require(segment.offset <= file.size - segment.bytes, "a segment ends in its file");
      for (const auto& hole : file.holes) {
        require(segment.offset + segment.bytes <= hole.offset ||
                    segment.offset >= hole.offset + hole.bytes,
                "a segment has no hole");
      }
      bytes += segment.bytes;
    }
    require(bytes == layout.cut().bytes_of(piece), "the segments are the piece");
  }
}

}  // namespace

void check(std::string_view input) {
  const auto decoded = Manifest::decode(input);
  if (const auto* const malformed = std::get_if<Malformed>(&decoded)) {
    require(!malformed->reason.empty() && is_plain_line(malformed->reason), "a reason is a line");
    return;
  }
  const auto& manifest = std::get<Manifest>(decoded);
  require(manifest.encode() == input, "encode() could have written what decode() accepts");
  std::uint64_t bytes = 0;
  std::size_t holes = 0;
  for (const auto& entry : manifest.entries()) {
    check_entry(entry);
    check_holes(entry);
    require(!__builtin_add_overflow(bytes, data_bytes(entry), &bytes), "the sum is a number");
    holes += entry.holes.size();
  }
  require(holes <= kMaxHoles, "holes are few");
  require(bytes == manifest.bytes() && bytes <= std::uint64_t{1} << 62U, "a stream has an off_t");
  check_names(manifest.entries());
  check_layout(manifest);
  check_hostile_name(manifest, input.size());
}

}  // namespace libsync::fuzz
