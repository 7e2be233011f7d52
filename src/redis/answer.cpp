#include "redis/answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <sstream>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/task.h"

namespace libsync {
namespace {

// Redis has zeros where no digest is announced, or where it has lost one.
const Digest kNoDigest{Digest::Bytes{}};

// The answer to 300,000 hosts that wait together (ASKS_A_SECOND in functions/context.lua).
constexpr std::chrono::seconds kLongestPatience{600};

// The format of keys, functions, manifest and piece files. A change of one of them raises it. Runs
// of format 1 name none. A run record names none either: a program passes over unknown keys in it.
constexpr std::string_view kFormat = "6:";

}  // namespace

void throw_not_understood(std::string_view what) {
  throw Failure(ExitStatus::redis, Remedy::operator_acts,
                fmt::format("Redis holds or answers something unknown to this version ({}): "
                            "run the same version of sync-fanout everywhere",
                            what));
}

void throw_unreadable(std::string_view field, std::string_view value) {
  throw Failure(
      ExitStatus::redis, Remedy::try_again,
      fmt::format("the field {} of the key sync:run holds '{}', which no master writes: the "
                  "master of the run corrects it, or delete the key (redis-cli del sync:run)",
                  field, escaped(value.substr(0, 100))));
}

bool is_wrong_type(const RedisValue& answer) {
  const auto* const error = answer.error();
  return error != nullptr && error->text.starts_with("WRONGTYPE");
}

std::chrono::milliseconds between(std::uint64_t from_ms, std::uint64_t to_ms) {
  constexpr std::uint64_t kLongest = std::numeric_limits<std::int64_t>::max();
  return std::chrono::milliseconds(to_ms > from_ms ? std::min(to_ms - from_ms, kLongest) : 0);
}

AnswerReader::AnswerReader(const RedisValue& value) : array_(value.array()) {
  if (const auto* const error = value.error()) throw_not_understood(escaped(error->text));
  if (array_ == nullptr) throw_not_understood("an answer that is no array");
}

const RedisValue& AnswerReader::value() {
  if (at_end()) throw_not_understood("an answer that is too short");
  return (*array_)[next_++];
}

const std::string& AnswerReader::text() {
  const auto* const text = value().text();
  if (text == nullptr) throw_not_understood("a value that is no text");
  return *text;
}

RunState AnswerReader::state() {
  const auto& word = text();
  if (word == "staging") return RunState::staging;
  if (word == "staged") return RunState::staged;
  throw_unreadable("state", word);
}

TaskPath AnswerReader::task() {
  const auto& path = text();
  auto task = TaskPath::parse(path);
  if (auto* const checked = std::get_if<TaskPath>(&task)) return std::move(*checked);
  throw_unreadable("path", path);
}

View AnswerReader::view() {
  const auto run_state = state();
  const auto sources = number<std::size_t>();
  const auto finished = number<std::size_t>();
  const auto suspect = suspicion();
  return {run_state, sources, finished, suspect, std::chrono::milliseconds(number<unsigned>())};
}

std::vector<StagedPiece> AnswerReader::staged_pieces() {
  std::vector<StagedPiece> pieces;
  while (!at_end()) {
    const auto piece = number<PieceNumber>();
    const auto staged = decode_staged(piece, text());
    const bool has_digest = staged && staged->digest != kNoDigest;
    if (!has_digest || piece >= kMaxPieces) throw_not_understood("a piece or its digest");
    pieces.push_back(*staged);
  }
  return pieces;
}

std::vector<StagedPiece> AnswerReader::staged_range() {
  auto piece = number<PieceNumber>();
  std::string_view left = text();
  if (piece > kMaxPieces || left.size() / kStagedBytes > kMaxPieces - piece)
    throw_not_understood("more digests than a run can have");
  std::vector<StagedPiece> pieces;
  for (; !left.empty(); ++piece) {
    const auto staged = decode_staged(piece, left.substr(0, kStagedBytes));
    if (!staged) throw_not_understood("part of a digest");
    if (staged->digest != kNoDigest) pieces.push_back(*staged);
    left.remove_prefix(kStagedBytes);
  }
  return pieces;
}

Seat AnswerReader::seat(const std::vector<Network>& peers) {
  Seat seat;
  for (auto* const pause : {&seat.poll_short, &seat.poll_long}) {
    *pause = std::chrono::milliseconds(number<unsigned>());
    if (pause->count() == 0 || *pause > kLongestPatience) throw_not_understood("a pause");
  }
  for (auto left = number<unsigned>(); left > 0; --left) {
    auto parent = Address::parse(text());
    if (parent && !is_within(*parent, peers)) parent.reset();
    seat.parents.push_back(std::move(parent));
  }
  seat.digests = staged_range();
  return seat;
}

AnswerFields::AnswerFields(AnswerReader& reader) {
  while (!reader.at_end()) {
    const auto& name = reader.text();
    all_.emplace_back(name, reader.text());
  }
}

const std::string* AnswerFields::find(std::string_view name) const {
  const auto found = std::find_if(all_.begin(), all_.end(),
                                  [&](const auto& field) { return field.first == name; });
  return found == all_.end() ? nullptr : &found->second;
}

const std::string& AnswerFields::text(std::string_view name) const {
  const auto* const found = find(name);
  if (found == nullptr) throw_unreadable(name, "");
  return *found;
}

std::string AnswerFields::text_or_empty(std::string_view name) const {
  const auto* const found = find(name);
  return found == nullptr ? std::string() : *found;
}

std::uint64_t AnswerFields::number(std::string_view name) const {
  const auto value = parse_number<std::uint64_t>(text(name));
  if (!value) throw_unreadable(name, text(name));
  return *value;
}

std::uint64_t AnswerFields::number_or_zero(std::string_view name) const {
  return parse_number<std::uint64_t>(text_or_empty(name)).value_or(0);
}

bool is_for_us(const RedisValue& answer, std::string_view word) {
  AnswerReader reader(answer);
  const auto& first = reader.text();
  if (first == "STALE") return false;
  if (first != word) throw_not_understood(escaped(first));
  return true;
}

std::optional<RunState> read_state(const RedisValue& answer, const RunId& run) {
  if (is_wrong_type(answer)) return std::nullopt;
  AnswerReader reader(answer);
  const auto* const id = reader.value().text();
  if (id == nullptr || *id != run.text()) return std::nullopt;
  return reader.state();
}

Watch read_watch(const RedisValue& answer) {
  AnswerReader reader(answer);
  if (reader.text() != "LOOK") throw_not_understood("the answer to watch");
  Watch watch;
  const auto& key = reader.value();
  if (const auto* const text = key.text()) watch.task = *text;
  if (key.array() != nullptr) watch.wrong_type = escaped(AnswerReader(key).text());
  const auto now = reader.number();
  const auto finished = reader.number<std::size_t>();
  const auto expected = reader.number<std::size_t>();
  const bool origin_is_suspect = reader.flag();
  if (reader.at_end()) return watch;
  const auto known_at_begin = reader.number<std::size_t>();
  const auto joined = reader.number();
  const auto started = reader.number();
  const auto overtaken = parse_number<std::uint64_t>(reader.text());
  const auto& id_text = reader.text();
  const auto id = RunId::parse(id_text);
  if (!id) throw_unreadable("id", id_text);
  const auto state = reader.state();
  auto task = reader.task();
  auto waiting = TaskPath::parse(reader.text());
  const auto& master_text = reader.text();
  const auto master = MasterId::parse(master_text);
  if (!master) throw_unreadable("master", master_text);
  if (!watch.wrong_type.empty()) watch.task = task.text();
  const auto manifest = read_manifest_field(reader.text());
  const auto newcomers = reader.number<std::size_t>();
  watch.run = RunStanding{.id = *id,
                          .state = state,
                          .task = std::move(task),
                          .master = *master,
                          .finished = finished,
                          .expected = expected,
                          .newcomers = newcomers,
                          .known_at_begin = known_at_begin,
                          .age = between(started, now),
                          // Any host can write when the last one joined.
                          .since_last_joined = between(std::max(started, joined), now),
                          .origin_is_suspect = origin_is_suspect,
                          .format = manifest ? RunFormat::ours : RunFormat::other};
  if (overtaken) watch.run->overtaken_for = between(*overtaken, now);
  if (auto* const checked = std::get_if<TaskPath>(&waiting)) {
    watch.run->waiting = std::move(*checked);
  }
  return watch;
}

ClaimOutcome read_claim(const RedisValue& answer, const std::vector<Network>& peers) {
  AnswerReader reader(answer);
  const auto& word = reader.text();
  if (word == "STALE") return Stale{};
  if (word == "VIEW") return Wait{reader.view()};
  if (word == "WAIT") {
    const auto view = reader.view();
    const std::chrono::seconds patience(reader.number<unsigned>());
    // With 0 Redis would never end a listening by itself.
    if (patience.count() == 0 || patience > kLongestPatience) throw_not_understood("a patience");
    return Wait{view, patience};
  }
  if (word != "CLAIMED") throw_not_understood(escaped(word));
  const auto token = Token::parse(reader.text());
  if (!token) throw_not_understood("a token");
  const auto& source_text = reader.text();
  const auto source = Address::parse(source_text);
  const auto view = reader.view();
  auto pieces = reader.staged_pieces();
  if (!source || !is_within(*source, peers)) return Unusable{*token, escaped(source_text)};
  return Claimed{{*token, *source, std::move(pieces)}, view};
}

BeginOutcome read_begin(const RedisValue& answer) {
  AnswerReader reader(answer);
  const auto& word = reader.text();
  if (word == "BEGUN") {
    Begun begun;
    while (!reader.at_end()) {
      // Other programs may have written anything into sync:expected, and the run record keeps this.
      const auto& host = reader.text();
      if (Address::parse(host)) begun.expected.push_back(host);
    }
    return begun;
  }
  if (word == "SAME") return AlreadyBegun{};
  if (word != "BUSY") throw_not_understood(escaped(word));
  const auto& id = reader.text();
  const auto other = RunId::parse(id);
  if (!other) throw_unreadable("id", id);
  return Busy{*other, reader.task()};
}

RepairOutcome read_repair(const RedisValue& answer) {
  if (!is_for_us(answer, "REPAIRED")) return Stale{};
  AnswerReader reader(answer);
  static_cast<void>(reader.text());
  const auto id = RunId::parse(reader.text());
  if (!id) throw_not_understood("a run id");
  Repaired repaired{*id, {}};
  while (!reader.at_end()) repaired.keys.push_back(escaped(reader.text()));
  return repaired;
}

JoinOutcome read_join(const RedisValue& answer, const std::vector<Network>& peers) {
  AnswerReader reader(answer);
  const auto& word = reader.text();
  if (word == "NONE") {
    const auto ended = RunId::parse(reader.text());
    const auto& began = reader.value();
    const auto* const text = began.text();
    return NoRun{ended, text == nullptr ? 0 : parse_number<std::uint64_t>(*text).value_or(0)};
  }
  if (word == "OCCUPIED") return AddressInUse{std::chrono::milliseconds(reader.number())};
  if (word == "COPIED") return IdInUse{escaped(reader.text())};
  if (word != "RUN") throw_not_understood(escaped(word));
  const bool is_finished = reader.flag();
  const auto suspicion = reader.suspicion();
  auto own_seat = reader.flag() ? std::optional(reader.seat(peers)) : std::nullopt;
  const AnswerFields fields(reader);
  const auto manifest = read_manifest_field(fields.text("manifest"));
  if (!manifest) return OtherVersion{fields.parsed<RunId>("id"), read_task(fields)};
  return Joined{read_run(fields, *manifest), is_finished, suspicion, std::move(own_seat)};
}

std::string manifest_field(const Digest& manifest) {
  return std::string(kFormat) + manifest.named();
}

std::optional<Digest> read_manifest_field(std::string_view text) {
  if (!text.starts_with(kFormat)) return std::nullopt;
  return Digest::parse_named(text.substr(kFormat.size()));
}

TaskPath read_task(const AnswerFields& fields) {
  auto path = TaskPath::parse(fields.text("path"));
  auto* const task = std::get_if<TaskPath>(&path);
  if (task == nullptr) throw_unreadable("path", fields.text("path"));
  if (task->name() != fields.text("name")) throw_unreadable("name", fields.text("name"));
  return std::move(*task);
}

RunInfo read_run(const AnswerFields& fields, const Digest& manifest) {
  const Cut cut{fields.number("bytes"), fields.number("piece_bytes")};
  constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 62U;
  if (cut.stream_bytes > kMaxBytes || cut.piece_bytes > kMaxBytes || !is_allowed(cut) ||
      cut.pieces() != fields.number("pieces")) {
    throw_unreadable("pieces", fields.text("pieces"));
  }
  auto task = read_task(fields);
  const auto& state = fields.text("state");
  const auto& kind = fields.text("origin_kind");
  if (state != "staging" && state != "staged") throw_unreadable("state", state);
  if (kind != "master" && kind != "minion") throw_unreadable("origin_kind", kind);
  const auto listed = fields.number_or_zero("manifest_bytes");
  return RunInfo{
      .id = fields.parsed<RunId>("id"),
      .state = state == "staged" ? RunState::staged : RunState::staging,
      .task = std::move(task),
      .fingerprint = fields.parsed<Fingerprint>("fingerprint"),
      .cut = cut,
      .manifest = manifest,
      .manifest_bytes =
          listed == 0 ? Manifest::max_bytes : std::min<std::uint64_t>(listed, Manifest::max_bytes),
      .origin = fields.parsed<Address>("origin"),
      .origin_kind = kind == "minion" ? OriginKind::minion : OriginKind::master,
      .master = fields.parsed<MasterId>("master"),
      .has_trees = fields.number_or_zero("trees") > 0,
      .begun_ms = fields.number_or_zero("started"),
  };
}

// The words of a text, escaped.
std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream stream(text);
  for (std::string word; stream >> word;) words.push_back(escaped(word));
  return words;
}

LastStatus read_last(const AnswerFields& fields, std::uint64_t now) {
  LastStatus last;
  last.path = fields.text_or_empty("path");
  last.outcome = fields.text_or_empty("outcome");
  last.reason = fields.text_or_empty("reason");
  last.finished = fields.number_or_zero("finished");
  last.expected = fields.number_or_zero("expected");
  last.bytes = fields.number_or_zero("bytes");
  last.rule = fields.text_or_empty("rule");
  last.run = fields.text_or_empty("run");
  last.run_outcome = fields.text_or_empty("run_outcome");
  // A refusal leaves what the run before it had.
  if (last.outcome != "refused") last.silent = words_of(fields.text_or_empty("silent"));
  const auto ended = fields.number_or_zero("ended");
  last.took = between(fields.number_or_zero("started"), ended);
  last.ended_ago = between(ended, now);
  return last;
}

Ended read_ended(const RedisValue& answer) {
  AnswerReader reader(answer);
  static_cast<void>(reader.text());
  Ended ended;
  ended.finished = reader.number<std::size_t>();
  ended.expected = reader.number<std::size_t>();
  ended.bytes = reader.number();
  ended.took = between(0, reader.number());
  return ended;
}

std::chrono::milliseconds StatusAnswer::since_the_begin(std::uint64_t time_ms) const {
  return between(begun_ms, time_ms);
}

std::chrono::milliseconds StatusAnswer::until_now(std::uint64_t time_ms) const {
  return between(time_ms, now_ms);
}

StatusAnswer read_status(const RedisValue& answer) {
  AnswerReader reader(answer);
  AnswerReader run_reader(reader.value());
  const AnswerFields run_fields(run_reader);
  AnswerReader last_reader(reader.value());
  const AnswerFields last_fields(last_reader);
  StatusAnswer read;
  read.now_ms = reader.number();
  const auto free_sources = reader.number<std::size_t>();
  const auto expected = reader.number<std::size_t>();
  const auto announced = reader.number<std::size_t>();
  read.status.task = reader.text();
  read.run = run_fields.text_or_empty("id");
  read.begun_ms = run_fields.number_or_zero("started");
  if (!run_fields.empty()) {
    const auto manifest = read_manifest_field(run_fields.text("manifest"));
    read.status.run =
        RunStatus{.run = read_run(run_fields, manifest.value_or(Digest(Digest::Bytes{}))),
                  .age = between(read.begun_ms, read.now_ms),
                  .announced = announced,
                  .free_sources = free_sources,
                  .expected = expected,
                  .format = manifest ? RunFormat::ours : RunFormat::other};
  }
  if (!last_fields.empty()) read.status.last = read_last(last_fields, read.now_ms);
  return read;
}

}  // namespace libsync
