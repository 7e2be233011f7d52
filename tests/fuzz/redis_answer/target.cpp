// The answers of Redis, from the bytes on the wire to checked values.

#include "target.h"

#include <hiredis/hiredis.h>

#include <memory>

#include "libsync/core/failure.h"
#include "redis/account_answer.h"
#include "redis/answer.h"
#include "redis/connection.h"
#include "redis/pulse_answer.h"

namespace libsync::fuzz {
namespace {

const std::vector<Network>& peers() {
  static const std::vector<Network> all{Network::parse("10.0.0.0/8").value(),
                                        Network::parse("fd00::/8").value()};
  return all;
}

// Arrays with more elements than the input has bytes are never whole, and hiredis would allocate
// them at once.
bool has_huge_array(std::string_view bytes) {
  for (auto at = bytes.find('*'); at != std::string_view::npos; at = bytes.find('*', at + 1)) {
    const auto digits = bytes.find_first_not_of("0123456789", at + 1);
    const auto count = bytes.substr(at + 1, digits - at - 1);
    const auto number = parse_number<std::size_t>(count);
    if (!count.empty() && (!number || *number > bytes.size())) return true;
  }
  return false;
}

std::optional<RedisValue> value_of(std::string_view bytes) {
  const std::unique_ptr<redisReader, decltype(&redisReaderFree)> reader(redisReaderCreate(),
                                                                        &redisReaderFree);
  void* raw = nullptr;
  if (redisReaderFeed(reader.get(), bytes.data(), bytes.size()) != REDIS_OK ||
      redisReaderGetReply(reader.get(), &raw) != REDIS_OK || raw == nullptr) {
    return std::nullopt;
  }
  auto* const reply = static_cast<redisReply*>(raw);
  auto value = to_value(*reply);
  freeReplyObject(reply);
  return value;
}

// The answer as Redis would send it.
std::string wire(const RedisValue& value) {
  if (const auto* const number = value.number()) return ":" + std::to_string(*number) + "\r\n";
  if (const auto* const error = value.error()) return "-" + error->text + "\r\n";
  if (const auto* const text = value.text()) {
    return "$" + std::to_string(text->size()) + "\r\n" + *text + "\r\n";
  }
  if (value.array() == nullptr) return "$-1\r\n";
  std::string all = "*" + std::to_string(value.array()->size()) + "\r\n";
  for (const auto& element : *value.array()) all += wire(element);
  return all;
}

// Runs a reader, which may refuse the answer by a Failure alone.
template <typename Read>
void attempt(const Read& read) {
  try {
    read();
  } catch (const Failure& failure) {
    require(failure.status() == ExitStatus::redis, "a bad answer is a fault of Redis");
    require(is_plain_line(failure.what()), "a failure is a line");
  }
}

void check_pieces(const std::vector<StagedPiece>& pieces) {
  for (const auto& staged : pieces) require(staged.piece < kMaxPieces, "a run has few pieces");
}

void check_seat(const Seat& seat) {
  for (const auto pause : {seat.poll_short, seat.poll_long}) {
    require(pause > Duration::zero() && pause <= std::chrono::minutes(10), "a pause ends");
  }
  for (const auto& parent : seat.parents) {
    require(!parent || is_within(*parent, peers()), "a parent is a peer");
  }
  check_pieces(seat.digests);
}

void check_run(const RunInfo& run) {
  require(!run.id.text().empty() && !run.master.text().empty(), "ids are set");
  require(!run.fingerprint.text().empty(), "ids are set");
  require(run.cut.piece_bytes > 0 && run.cut.pieces() <= kMaxPieces, "a run has few pieces");
  require(run.cut.bytes_of(run.cut.pieces() - 1) <= run.cut.piece_bytes, "the cut has an end");
  require(run.manifest_bytes > 0 && run.manifest_bytes <= Manifest::max_bytes,
          "a manifest has a limit");
}

void check_claim(const ClaimOutcome& outcome) {
  if (const auto* const claimed = std::get_if<Claimed>(&outcome)) {
    require(is_within(claimed->claim.source, peers()), "a source is a peer");
    require(!claimed->claim.token.text().empty(), "a token is set");
    check_pieces(claimed->claim.pieces);
  } else if (const auto* const wait = std::get_if<Wait>(&outcome)) {
    require(wait->patience.count() > 0 && wait->patience <= std::chrono::minutes(10),
            "a listening ends by itself");
  } else if (const auto* const unusable = std::get_if<Unusable>(&outcome)) {
    require(is_plain_line(unusable->source), "a bad source can be shown");
    const auto source = Address::parse(unusable->source);
    require(!source || !is_within(*source, peers()), "a peer is usable");
  }
}

void check_watch(const RedisValue& value) {
  const auto watch = read_watch(value);
  require(!watch.task || !watch.task->empty(), "a task has a name");
  if (!watch.run) return;
  require(!watch.run->id.text().empty() && !watch.run->master.text().empty(), "ids are set");
  require(watch.run->age.count() >= 0 && watch.run->since_last_joined.count() >= 0,
          "no time runs backwards");
}

void check_begin(const RedisValue& value) {
  const auto outcome = read_begin(value);
  const auto* const begun = std::get_if<Begun>(&outcome);
  if (begun == nullptr) return;
  for (const auto& host : begun->expected) {
    require(Address::parse(host).has_value(), "an expected host is an address");
  }
}

void check_status(const RedisValue& value) {
  const auto status = read_status(value).status;
  if (status.last) {
    for (const auto& host : status.last->silent) {
      require(is_plain_line(host), "a host can be shown");
    }
  }
  if (!status.run) return;
  check_run(status.run->run);
  require(status.run->age.count() >= 0, "no time runs backwards");
}

void check_join(const RedisValue& value) {
  const auto outcome = read_join(value, peers());
  const auto* const joined = std::get_if<Joined>(&outcome);
  if (joined == nullptr) return;
  check_run(joined->run);
  if (!joined->seat) return;
  check_seat(*joined->seat);
  const auto strangers = std::get<Joined>(read_join(value, {})).seat->parents;
  require(std::none_of(strangers.begin(), strangers.end(),
                       [](const auto& parent) { return parent.has_value(); }),
          "a stranger is no parent");
}

// The rest of an answer behind this word, which callers read by themselves.
void check_rest(const RedisValue& value, std::string_view word) {
  if (!is_for_us(value, word)) return;
  AnswerReader reader(value);
  static_cast<void>(reader.text());
  if (word == "DIGESTS") return check_pieces(reader.staged_pieces());
  static_cast<void>(reader.view());
  if (word == "FOLLOWED") check_seat(reader.seat(peers()));
}

void check_state(const RedisValue& value) {
  static const auto run = RunId::parse("0123456789abcdef0123456789abcdef").value();
  static_cast<void>(read_state(value, run));
}

void check_pulse(const RedisValue& value) {
  const auto pulse = read_pulse(value);
  require(!pulse.last || pulse.last->ended_ago.count() >= 0, "no time runs backwards");
  require(!pulse.last || is_plain_line(pulse.last->run), "an id can be shown");
  if (!pulse.run) return;
  require(is_plain_line(pulse.run->id), "an id can be shown");
  require(pulse.run->pieces > 0, "a run has pieces");
  const auto& moved_ago = pulse.run->moves.moved_ago;
  require(!moved_ago || moved_ago->count() >= 0, "no time runs backwards");
}

void check_last_account(const RedisValue& value) {
  AnswerReader reader(value);
  const auto account = read_last_account(AnswerFields(reader));
  if (!account) return;
  require(account->cut.piece_bytes > 0 && account->cut.pieces() <= kMaxPieces,
          "a run has few pieces");
  require(account->took.count() >= 0, "no time runs backwards");
  require(!account->outcome.empty() && account->outcome != "refused", "a refusal is no run");
}

// Each reader gets the answers that begin with a word of its own. A refusal costs more than all
// else, so only an answer without such a word goes to every reader.
void check_answer(const RedisValue& value) {
  const auto* const array = value.array();
  const auto* const first = array && !array->empty() ? array->front().text() : nullptr;
  const std::string word = first ? *first : "";
  const bool is_any = word.empty();
  const auto is_one_of = [&](std::initializer_list<std::string_view> words) {
    return is_any || std::find(words.begin(), words.end(), word) != words.end();
  };
  if (is_one_of({"LOOK"})) attempt([&] { check_watch(value); });
  if (is_one_of({"BEGUN", "SAME", "BUSY"})) attempt([&] { check_begin(value); });
  if (is_one_of({"RUN", "NONE", "OCCUPIED", "COPIED"})) attempt([&] { check_join(value); });
  if (is_one_of({"CLAIMED", "WAIT", "VIEW", "STALE"})) {
    attempt([&] {
      check_claim(read_claim(value, peers()));
      require(!std::holds_alternative<Claimed>(read_claim(value, {})), "a stranger is no source");
    });
  }
  if (is_one_of({"FOLLOWED"})) attempt([&] { check_rest(value, "FOLLOWED"); });
  if (is_one_of({"ENDED"})) {
    attempt([&] { require(read_ended(value).took.count() >= 0, "no time runs backwards"); });
  }
  if (is_one_of({"PULSE"})) attempt([&] { check_pulse(value); });
  if (is_one_of({"DIGESTS"})) attempt([&] { check_rest(value, "DIGESTS"); });
  if (word.size() == 32) attempt([&] { check_state(value); });
  if (is_any) attempt([&] { check_status(value); });
  if (word == "run") attempt([&] { check_last_account(value); });
}

}  // namespace

void check(std::string_view input) {
  if (has_huge_array(input)) return;
  const auto value = value_of(input);
  if (!value) return;
  const auto text = wire(*value);
  const auto again = value_of(text);
  require(again.has_value() && wire(*again) == text, "a value survives the wire");
  check_answer(*value);
  if (const auto* const field = value->text()) {
    const auto manifest = read_manifest_field(*field);
    require(!manifest || manifest_field(*manifest) == *field, "a format survives its field");
  }
}

}  // namespace libsync::fuzz
