#include "libsync/core/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <functional>
#include <iterator>
#include <numeric>
#include <optional>

#include "libsync/core/number.h"

namespace libsync {
namespace {

constexpr std::string_view kHeader = "libsync-manifest 2\n";
constexpr std::string_view kNoHoles = "-";
// The shortest entry: "f 0644 0.000000000 0 0 0 - ", an empty name and target, two NULs.
constexpr std::size_t kLeastEntryBytes = 29;
constexpr std::uint32_t kModeBits = 07777;

char letter(EntryKind kind) {
  switch (kind) {
    case EntryKind::file:
      return 'f';
    case EntryKind::folder:
      return 'd';
    case EntryKind::link:
      break;
  }
  return 'l';
}

std::optional<EntryKind> kind_of(std::string_view text) {
  if (text == "f") return EntryKind::file;
  if (text == "d") return EntryKind::folder;
  if (text == "l") return EntryKind::link;
  return std::nullopt;
}

bool is_plain_relative(std::string_view name) {
  if (name.size() >= PATH_MAX) return false;
  for (std::size_t start = 0; start <= name.size();) {
    const auto end = std::min(name.find('/', start), name.size());
    const auto component = name.substr(start, end - start);
    if (component.empty() || component == "." || component == ".." || component.size() > NAME_MAX) {
      return false;
    }
    start = end + 1;
  }
  return true;
}

// Removes the text before the next `separator` from the front of `rest`, and returns it. Without a
// separator `rest` becomes empty, so all later fields are missing, too.
std::optional<std::string_view> next_field(std::string_view& rest, char separator) {
  const auto end = rest.find(separator);
  if (end == std::string_view::npos) {
    rest = {};
    return std::nullopt;
  }
  const auto field = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return field;
}

void append(std::string& text, const Entry& entry) {
  text +=
      fmt::format("{} {:04o} {}.{:09} {} {} {} ", letter(entry.kind), entry.mode,
                  entry.mtime.seconds, entry.mtime.nanoseconds, entry.size, entry.uid, entry.gid);
  if (entry.holes.empty()) text += kNoHoles;
  for (std::size_t i = 0; i < entry.holes.size(); ++i) {
    if (i > 0) text += ',';
    fmt::format_to(std::back_inserter(text), "{}+{}", entry.holes[i].offset, entry.holes[i].bytes);
  }
  text += ' ';
  text += entry.name;
  text += '\0';
  text += entry.target;
  text += '\0';
}

std::optional<FileTime> decode_time(std::string_view text) {
  const auto dot = text.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto seconds = parse_number<std::int64_t>(text.substr(0, dot));
  const auto nanoseconds = parse_number<std::uint32_t>(text.substr(dot + 1));
  if (!seconds || !nanoseconds || *nanoseconds >= 1'000'000'000) return std::nullopt;
  return FileTime{*seconds, *nanoseconds};
}

std::optional<std::vector<Hole>> decode_holes(std::string_view text) {
  std::vector<Hole> holes;
  if (text == kNoHoles) return holes;
  holes.reserve(std::min<std::size_t>(kMaxHoles, text.size() / 4 + 1));
  for (bool is_last = false; !is_last;) {
    const auto comma = text.find(',');
    is_last = comma == std::string_view::npos;
    const auto hole = text.substr(0, comma);
    const auto plus = hole.find('+');
    if (plus == std::string_view::npos || holes.size() == kMaxHoles) return std::nullopt;
    const auto offset = parse_number<std::uint64_t>(hole.substr(0, plus));
    const auto bytes = parse_number<std::uint64_t>(hole.substr(plus + 1));
    if (!offset || !bytes) return std::nullopt;
    holes.push_back({*offset, *bytes});
    if (!is_last) text.remove_prefix(comma + 1);
  }
  return holes;
}

// chown() leaves an id as it is if it gets this one.
constexpr std::uint32_t kNobody = 0xffffffffU;

std::optional<Entry> decode_entry(std::string_view& rest) {
  const auto kind_text = next_field(rest, ' ');
  const auto mode_text = next_field(rest, ' ');
  const auto time_text = next_field(rest, ' ');
  const auto size_text = next_field(rest, ' ');
  const auto uid_text = next_field(rest, ' ');
  const auto gid_text = next_field(rest, ' ');
  const auto holes_text = next_field(rest, ' ');
  const auto name = next_field(rest, '\0');
  const auto target = next_field(rest, '\0');
  if (!target) return std::nullopt;  // The last field is missing if any is.
  const auto kind = kind_of(*kind_text);
  const auto mode = parse_number<std::uint32_t>(*mode_text, 8);
  const auto mtime = decode_time(*time_text);
  const auto size = parse_number<std::uint64_t>(*size_text);
  const auto uid = parse_number<std::uint32_t>(*uid_text);
  const auto gid = parse_number<std::uint32_t>(*gid_text);
  auto holes = decode_holes(*holes_text);
  if (!kind || !mode || !mtime || !size || !uid || !gid || !holes) return std::nullopt;
  if (*uid == kNobody || *gid == kNobody) return std::nullopt;
  return Entry{*kind,
               *mode,
               *mtime,
               *size,
               *uid,
               *gid,
               *std::move(holes),
               std::string(*name),
               std::string(*target)};
}

std::optional<std::string> flaw_of(const std::vector<Hole>& holes, std::uint64_t size) {
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < holes.size(); ++i) {
    const Hole& hole = holes[i];
    if (hole.bytes == 0) return "an empty hole";
    if (i > 0 && hole.offset <= end) return "holes out of order, or without bytes between them";
    if (hole.bytes > size || hole.offset > size - hole.bytes) return "a hole behind the file's end";
    end = hole.offset + hole.bytes;
  }
  return std::nullopt;
}

std::optional<std::string> flaw_of(const Entry& entry) {
  if (entry.mode > kModeBits) return "a mode beyond 07777";
  if (entry.kind != EntryKind::file && entry.size != 0) return "a folder or link with a size";
  if (entry.kind != EntryKind::file && !entry.holes.empty()) return "a folder or link with holes";
  if (auto flaw = flaw_of(entry.holes, entry.size)) return flaw;
  if ((entry.kind == EntryKind::link) == entry.target.empty()) return "a target that does not fit";
  if (entry.target.size() >= PATH_MAX) return "a link target of 4096 bytes or more";
  return std::nullopt;
}

std::optional<std::string> flaw_of(const std::vector<Entry>& entries) {
  if (entries.empty() || !entries.front().name.empty()) return "no entry for the payload itself";
  if (entries.front().kind == EntryKind::link) return "a link as the payload";
  for (std::size_t i = 1; i < entries.size(); ++i) {
    const Entry& entry = entries[i];
    if (!is_plain_relative(entry.name)) return "a name that is no plain relative path";
    if (entries[i - 1].name >= entry.name) return "names out of order";
    const auto slash = entry.name.rfind('/');
    const auto parent = slash == std::string::npos ? std::string() : entry.name.substr(0, slash);
    // Only the entries before this one are known to be sorted. The name of a parent is less than
    // that of its child, so the search ends at this entry at the latest.
    const auto found = std::lower_bound(
        entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(i), parent,
        [](const Entry& left, const std::string& right) { return left.name < right; });
    if (found->name != parent || found->kind != EntryKind::folder) {
      return "an entry whose parent is no listed folder";
    }
  }
  if (!are_short_enough(entries)) return "too many bytes";
  return std::nullopt;
}

}  // namespace

std::uint64_t data_begin(const Entry& entry) {
  const bool begins_with_hole = !entry.holes.empty() && entry.holes.front().offset == 0;
  return begins_with_hole ? entry.holes.front().bytes : 0;
}

std::uint64_t data_end(const Entry& entry) {
  if (entry.holes.empty()) return entry.size;
  const Hole& last = entry.holes.back();
  return last.offset + last.bytes == entry.size ? last.offset : entry.size;
}

std::uint64_t data_bytes(const Entry& entry) {
  return std::accumulate(entry.holes.begin(), entry.holes.end(), entry.size,
                         [](std::uint64_t bytes, const Hole& hole) { return bytes - hole.bytes; });
}

bool are_short_enough(std::span<const Entry> entries) {
  auto room = kMaxFileBytes;
  return std::all_of(entries.begin(), entries.end(), [&](const Entry& entry) {
    if (entry.size > room) return false;
    room -= entry.size;
    return true;
  });
}

void drop_small_holes(std::span<Entry> entries) {
  std::vector<std::uint64_t> sizes;
  for (const Entry& entry : entries) {
    for (const Hole& hole : entry.holes) sizes.push_back(hole.bytes);
  }
  if (sizes.size() <= kMaxHoles) return;
  const auto least = sizes.begin() + (kMaxHoles - 1);
  std::nth_element(sizes.begin(), least, sizes.end(), std::greater<>());
  // Those of the least size are kept in order, as far as there is room.
  auto room = std::count(sizes.begin(), least + 1, *least);
  for (Entry& entry : entries) {
    std::erase_if(entry.holes, [&](const Hole& hole) {
      return hole.bytes < *least || (hole.bytes == *least && room-- <= 0);
    });
  }
}

Manifest::Manifest(std::vector<Entry> entries) : entries_(std::move(entries)) {
  for (const Entry& entry : entries_) bytes_ += data_bytes(entry);
}

std::string Manifest::encode() const {
  std::string text(kHeader);
  for (const Entry& entry : entries_) append(text, entry);
  return text;
}

std::variant<Manifest, Malformed> Manifest::decode(std::string_view bytes) {
  auto rest = bytes;
  if (!rest.starts_with(kHeader)) return Malformed{"its first line is not 'libsync-manifest 2'"};
  rest.remove_prefix(kHeader.size());
  std::vector<Entry> entries;
  // A vector that grows would need up to twice the memory for a moment, so reserve for all entries.
  // Malformed bytes reserve no more than well-formed ones do.
  const auto ends = static_cast<std::size_t>(std::count(rest.begin(), rest.end(), '\0'));
  entries.reserve(std::min(ends / 2, rest.size() / kLeastEntryBytes));
  std::size_t holes = 0;
  while (!rest.empty()) {
    const auto before = rest;
    auto entry = decode_entry(rest);
    const auto where = fmt::format("entry {}: ", entries.size());
    if (!entry) return Malformed{where + "not of the form KIND MODE MTIME SIZE UID GID HOLES NAME"};
    if (const auto flaw = flaw_of(*entry)) return Malformed{where + *flaw};
    std::string canonical;
    append(canonical, *entry);
    if (before.substr(0, before.size() - rest.size()) != canonical) {
      return Malformed{where + "a number that is not in its plain form"};
    }
    // Counted here, because each hole takes more memory than text.
    holes += entry->holes.size();
    if (holes > kMaxHoles) return Malformed{where + "too many holes"};
    entries.push_back(std::move(*entry));
  }
  if (const auto flaw = flaw_of(entries)) return Malformed{*flaw};
  return Manifest(std::move(entries));
}

}  // namespace libsync
