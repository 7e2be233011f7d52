#include "libsync/core/published_note.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "libsync/core/lines.h"
#include "libsync/core/number.h"

namespace libsync {
namespace {

// Reads a text word by word and line by line. After the first mistake it is not right any more.
class Reader {
 public:
  explicit Reader(std::string_view text) : lines_(lines_of(text)) {}

  [[nodiscard]] bool at_end() const { return !is_right_ || next_ == lines_.size(); }
  [[nodiscard]] bool is_right() const { return is_right_; }

  // The value of the next line, which has this key.
  std::string_view value(std::string_view key) {
    if (next_ == lines_.size() || !lines_[next_].starts_with(key) ||
        !lines_[next_].substr(key.size()).starts_with(' ')) {
      is_right_ = false;
      return {};
    }
    return lines_[next_++].substr(key.size() + 1);
  }

  template <typename Value>
  std::optional<Value> checked(std::optional<Value> value) {
    if (!value) is_right_ = false;
    return value;
  }

  template <typename Number>
  Number number(std::string_view text) {
    return checked(parse_number<Number>(text)).value_or(Number{});
  }

 private:
  std::vector<std::string_view> lines_;
  std::size_t next_ = 0;
  bool is_right_ = true;
};

}  // namespace

std::string encode(const PublishedNote& note) {
  auto text = fmt::format("run {}\ntask {}\nmanifest {}\nbytes {}\npieces {}\nwire {}\ntook {}\n",
                          note.run.text(), note.task.text(), note.manifest.named(), note.bytes,
                          note.pieces, note.wire_bytes, note.took.count());
  for (const auto& [source, pieces] : note.fed_by) {
    text += fmt::format("from {} {}\n", source.text(), pieces);
  }
  return text;
}

std::optional<PublishedNote> decode_published_note(std::string_view text) {
  Reader reader(text);
  const auto run = reader.checked(RunId::parse(reader.value("run")));
  auto task = TaskPath::parse(reader.value("task"));
  const auto manifest = reader.checked(Digest::parse_named(reader.value("manifest")));
  if (!run || !manifest || !std::holds_alternative<TaskPath>(task)) return std::nullopt;
  PublishedNote note{
      .run = *run, .task = std::get<TaskPath>(std::move(task)), .manifest = *manifest};
  note.bytes = reader.number<std::uint64_t>(reader.value("bytes"));
  note.pieces = reader.number<PieceNumber>(reader.value("pieces"));
  note.wire_bytes = reader.number<std::uint64_t>(reader.value("wire"));
  note.took = Duration(reader.number<std::uint32_t>(reader.value("took")));
  while (!reader.at_end()) {
    const auto line = reader.value("from");
    const auto space = std::min(line.find(' '), line.size());
    const auto source = reader.checked(Address::parse(line.substr(0, space)));
    const auto pieces = reader.number<PieceNumber>(line.substr(std::min(space + 1, line.size())));
    if (source) note.fed_by[*source] = pieces;
  }
  if (!reader.is_right()) return std::nullopt;
  return note;
}

}  // namespace libsync
