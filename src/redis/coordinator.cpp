#include "redis/coordinator.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "redis/answer.h"

namespace libsync {
namespace {

constexpr std::string_view kLibrary = "libsync1";
// 300,000 hosts that wait would be told it (ASKS_A_SECOND in functions/libsync.lua).
constexpr std::chrono::seconds kLongestPatience{600};

std::string word_of(PullEnd end) {
  switch (end) {
    case PullEnd::good:
      return "good";
    case PullEnd::busy:
      return "busy";
    case PullEnd::unreachable:
      return "unreachable";
    case PullEnd::refused:
      return "refused";
    case PullEnd::missing:
      return "missing";
    case PullEnd::corrupt:
      return "corrupt";
    case PullEnd::local:
      break;
  }
  return "local";
}

std::string word_of(Spread spread) {
  switch (spread) {
    case Spread::automatic:
      return "auto";
    case Spread::claims:
      return "claims";
    case Spread::trees:
      break;
  }
  return "trees";
}

// What hold and follow begin with.
RedisCommand report_of(const RunId& run, const Address& host, const Holdings& holdings,
                       unsigned slots, Clearance clearance) {
  return {run.text(),
          host.text(),
          holdings.servable.bitmap(),
          std::to_string(slots),
          std::to_string(holdings.in_place),
          clearance == Clearance::cleared ? "1" : "0"};
}

StageOutcome done_or_stale(const RedisValue& answer, std::string_view word) {
  if (is_for_us(answer, word)) return Done{};
  return Stale{};
}

}  // namespace

RedisCoordinator::RedisCoordinator(RedisCoordinatorOptions options)
    : options_(std::move(options)), verbs_(options_.server), wakes_(options_.server) {}

std::optional<RedisValue> RedisCoordinator::try_call(std::string_view verb,
                                                     RedisCommand arguments) {
  RedisCommand command{"FCALL", fmt::format("{}_{}", kLibrary, verb), "0", options_.prefix,
                       options_.time()};
  std::move(arguments.begin(), arguments.end(), std::back_inserter(command));
  auto answer = verbs_.ask(command);
  if (const auto* const error = answer.error()) {
    if (error->text.find("Function not found") != std::string::npos) return std::nullopt;
  }
  return answer;
}

RedisValue RedisCoordinator::call(std::string_view verb, const RedisCommand& arguments) {
  if (auto answer = try_call(verb, arguments)) return *std::move(answer);
  load_functions();
  if (auto answer = try_call(verb, arguments)) return *std::move(answer);
  throw_not_understood("the functions vanish as soon as they are loaded");
}

RedisValue RedisCoordinator::call_or_stale(std::string_view verb, const RedisCommand& arguments) {
  if (auto answer = try_call(verb, arguments)) return *std::move(answer);
  return {RedisValue::Array{{std::string("STALE")}}};
}

void RedisCoordinator::load_functions() {
  const std::string source(functions_source());
  const auto listed =
      verbs_.ask({"FUNCTION", "LIST", "LIBRARYNAME", std::string(kLibrary), "WITHCODE"});
  if (const auto* const libraries = listed.array(); libraries != nullptr && !libraries->empty()) {
    if (const auto* const fields = libraries->front().array()) {
      for (std::size_t i = 0; i + 1 < fields->size(); i += 2) {
        const auto* const name = (*fields)[i].text();
        const auto* const code = (*fields)[i + 1].text();
        if (name != nullptr && code != nullptr && *name == "library_code" && *code == source)
          return;
      }
    }
  }
  const auto loaded = verbs_.ask({"FUNCTION", "LOAD", "REPLACE", source});
  if (const auto* const error = loaded.error()) throw_not_understood(escaped(error->text));
}

std::optional<std::string> RedisCoordinator::task_or_nothing() {
  const auto task = verbs_.ask({"GET", options_.prefix + "task"});
  if (const auto* const error = task.error()) throw_not_understood(escaped(error->text));
  const auto* const text = task.text();
  return text == nullptr || text->empty() ? std::nullopt : std::optional(*text);
}

Discovery RedisCoordinator::discover() {
  Discovery look{.task = task_or_nothing()};
  if (!look.task) return look;
  const auto lookups = verbs_.ask({"INCR", options_.prefix + "lookup"});
  const auto finished = verbs_.ask({"SCARD", options_.prefix + "finished_queue"});
  for (const auto* const answer : {&lookups, &finished}) {
    if (const auto* const error = answer->error()) throw_not_understood(escaped(error->text));
  }
  look.finished = static_cast<std::size_t>(finished.number() ? *finished.number() : 0);
  return look;
}

BeginOutcome RedisCoordinator::begin(const RunInfo& run, unsigned origin_slots,
                                     const Expected& expected, TaskKey task, Spread spread) {
  RedisCommand arguments{run.id.text(),
                         run.path,
                         run.name,
                         run.fingerprint.text(),
                         std::to_string(run.cut.stream_bytes),
                         std::to_string(run.cut.piece_bytes),
                         std::to_string(run.cut.pieces()),
                         run.manifest.named(),
                         run.density == Density::sparse ? "1" : "0",
                         run.origin.text(),
                         run.origin_kind == OriginKind::master ? "master" : "minion",
                         run.master.text(),
                         std::to_string(origin_slots),
                         task == TaskKey::restore ? "1" : "0",
                         word_of(spread),
                         std::to_string(expected.count),
                         std::to_string(run.manifest_bytes)};
  arguments.insert(arguments.end(), expected.hosts.begin(), expected.hosts.end());
  const auto answer = call("begin", arguments);
  AnswerReader reader(answer);
  const auto& word = reader.text();
  if (word == "BEGUN") {
    Begun begun;
    while (!reader.at_end()) {
      // Whoever may write to Redis may have added anything, and the master puts it on record.
      const auto& host = reader.text();
      if (Address::parse(host)) begun.expected.push_back(host);
    }
    return begun;
  }
  if (word == "SAME") return AlreadyBegun{};
  if (word != "BUSY") throw_not_understood(escaped(word));
  const auto other = RunId::parse(reader.text());
  if (!other) throw_not_understood("a run id");
  return Busy{*other, reader.text()};
}

StageOutcome RedisCoordinator::stage(const RunId& run, const std::vector<StagedPiece>& pieces,
                                     RunState final_state) {
  RedisCommand arguments{run.text(), final_state == RunState::staged ? "1" : "0"};
  for (const auto& [piece, digest] : pieces) {
    arguments.push_back(std::to_string(piece));
    arguments.push_back(digest.raw());
  }
  return done_or_stale(call("stage", arguments), "STAGED");
}

Watch RedisCoordinator::watch() {
  const auto answer = call("watch", {});
  AnswerReader reader(answer);
  if (reader.text() != "LOOK") throw_not_understood("the answer to watch");
  Watch watch;
  if (const auto& task = reader.text(); !task.empty()) watch.task = task;
  const auto now = reader.number();
  RunStanding run;
  run.finished = reader.number<std::size_t>();
  run.expected = reader.number<std::size_t>();
  run.origin_is_suspect = reader.flag();
  if (reader.at_end()) return watch;
  run.known_at_begin = reader.number<std::size_t>();
  run.since_last_joined = between(reader.number(), now);
  run.age = between(reader.number(), now);
  if (const auto overtaken = parse_number<std::uint64_t>(reader.text())) {
    run.overtaken_for = between(*overtaken, now);
  }
  const auto id = RunId::parse(reader.text());
  if (!id) throw_not_understood("a run id");
  run.id = *id;
  run.state = reader.state();
  run.path = reader.text();
  run.waiting = reader.text();
  const auto master = MasterId::parse(reader.text());
  if (!master) throw_not_understood("a master's id");
  run.master = *master;
  watch.run = std::move(run);
  return watch;
}

void RedisCoordinator::overtake(const RunId& run, const std::optional<std::string>& task) {
  static_cast<void>(is_for_us(call("overtake", {run.text(), task.value_or("")}), "VIEW"));
}

StageOutcome RedisCoordinator::vouch(const RunId& run) {
  return done_or_stale(call("vouch", {run.text()}), "VIEW");
}

EndOutcome RedisCoordinator::end(const RunId& run, const std::string& outcome,
                                 const std::string& reason, TaskAfter task) {
  const auto answer =
      call("end", {run.text(), outcome, reason, task == TaskAfter::goes ? "1" : "0"});
  if (!is_for_us(answer, "ENDED")) return Stale{};
  AnswerReader reader(answer);
  static_cast<void>(reader.text());
  Ended ended;
  while (!reader.at_end()) ended.missing.push_back(escaped(reader.text()));
  return ended;
}

bool RedisCoordinator::refuse(const std::string& task, const std::string& reason) {
  const auto answer = call("refuse", {task, reason});
  return AnswerReader(answer).text() == "REFUSED";
}

JoinOutcome RedisCoordinator::join(const Address& host, Arrival arrival, SeatWish in_trees,
                                   Duration stays) {
  const bool waits = in_trees == SeatWish::wanted && stays > Duration::zero();
  const auto answer = try_call("join", {host.text(), arrival == Arrival::first_of_tick ? "1" : "0",
                                        in_trees == SeatWish::wanted ? "1" : "0",
                                        std::to_string(waits ? stays.count() : 0)});
  if (!answer) return NoLibrary{};
  AnswerReader reader(*answer);
  const auto& word = reader.text();
  if (word == "NONE") {
    const auto ended = RunId::parse(reader.text());
    return NoRun{ended, reader.at_end() ? 0 : reader.number()};  // Older functions end here.
  }
  if (word != "RUN") throw_not_understood(escaped(word));
  const bool is_finished = reader.flag();
  const auto suspicion = reader.suspicion();
  auto place = reader.flag() ? std::optional(read_seat(reader)) : std::nullopt;
  const AnswerFields fields(reader);
  return Joined{read_run(fields, read_manifest_digest(fields)), is_finished, suspicion,
                std::move(place)};
}

Seat RedisCoordinator::read_seat(AnswerReader& reader) const {
  Seat seat;
  for (auto* const pause : {&seat.poll_short, &seat.poll_long}) {
    *pause = std::chrono::milliseconds(reader.number<unsigned>());
    if (pause->count() == 0 || *pause > kLongestPatience) throw_not_understood("a pause");
  }
  for (auto left = reader.number<unsigned>(); left > 0; --left) {
    auto parent = Address::parse(reader.text());
    if (parent && !is_within(*parent, options_.peers)) parent.reset();
    seat.parents.push_back(std::move(parent));
  }
  seat.digests = reader.staged_range();
  return seat;
}

std::vector<StagedPiece> RedisCoordinator::digests(const RunId& run,
                                                   const std::vector<PieceNumber>& pieces) {
  RedisCommand arguments{run.text()};
  for (const auto piece : pieces) arguments.push_back(std::to_string(piece));
  const auto answer = call_or_stale("digests", arguments);
  if (!is_for_us(answer, "DIGESTS")) return {};
  AnswerReader reader(answer);
  static_cast<void>(reader.text());
  return reader.staged_pieces();
}

ViewOutcome RedisCoordinator::report(const RunId& run, const Address& host,
                                     const Holdings& holdings, unsigned slots,
                                     Clearance clearance) {
  const auto answer = call_or_stale("hold", report_of(run, host, holdings, slots, clearance));
  if (!is_for_us(answer, "VIEW")) return Stale{};
  AnswerReader reader(answer);
  static_cast<void>(reader.text());
  return reader.view();
}

SeatOutcome RedisCoordinator::report_from_seat(const RunId& run, const Address& host,
                                               const Holdings& holdings, unsigned slots,
                                               Clearance clearance, const PieceSet& known,
                                               const std::vector<ParentFeedback>& reports) {
  auto arguments = report_of(run, host, holdings, slots, clearance);
  arguments.push_back(known.bitmap());
  for (const auto& report : reports) {
    const bool is_slow = report.kind == ParentFeedback::Kind::slow;
    arguments.insert(arguments.end(),
                     {report.parent.text(), is_slow ? "slow" : word_of(report.end), report.detail});
  }
  const auto answer = call_or_stale("follow", arguments);
  if (!is_for_us(answer, "FOLLOWED")) return Stale{};
  AnswerReader reader(answer);
  static_cast<void>(reader.text());
  const auto view = reader.view();
  return Seated{view, read_seat(reader)};
}

ClaimOutcome RedisCoordinator::read_claim(const RedisValue& answer) const {
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
  if (!source || !is_within(*source, options_.peers)) return Unusable{*token, escaped(source_text)};
  return Claimed{{*token, *source, std::move(pieces)}, view};
}

ClaimOutcome RedisCoordinator::claim(const RunId& run, const Address& host,
                                     const Holdings& holdings, const Want& want) {
  return read_claim(call_or_stale(
      "claim", {run.text(), host.text(), want.token.text(), std::to_string(want.most_pieces),
                holdings.servable.bitmap(), want.unwanted.bitmap()}));
}

ClaimOutcome RedisCoordinator::complete(const RunId& run, const Address& host, const Token& token,
                                        PullEnd end, const std::string& detail,
                                        const Holdings& holdings, const std::optional<Want>& next) {
  return read_claim(call_or_stale(
      "complete",
      {run.text(), host.text(), token.text(), word_of(end), detail, holdings.servable.bitmap(),
       std::to_string(holdings.in_place), next ? next->token.text() : "",
       std::to_string(next ? next->most_pieces : 0), next ? next->unwanted.bitmap() : ""}));
}

std::optional<RunState> RedisCoordinator::state_of(const RunId& run) {
  return read_state(verbs_.ask({"HMGET", options_.prefix + "sync:run", "id", "state"}), run);
}

RenewOutcome RedisCoordinator::renew(const RunId& run, const Address& host,
                                     const std::vector<Token>& tokens) {
  RedisCommand arguments{run.text(), host.text()};
  for (const auto& token : tokens) arguments.push_back(token.text());
  const auto answer = call_or_stale("renew", arguments);
  if (!is_for_us(answer, "VIEW")) return Stale{};
  AnswerReader reader(answer);
  static_cast<void>(reader.text());
  return Renewed{reader.view()};
}

FinishOutcome RedisCoordinator::finish(const RunId& run, const Address& host,
                                       const Digest& manifest, const Holdings& holdings,
                                       unsigned slots) {
  const auto answer = call_or_stale("finish", {run.text(), host.text(), manifest.named(),
                                               holdings.servable.bitmap(), std::to_string(slots)});
  AnswerReader reader(answer);
  const auto& word = reader.text();
  if (word == "FINISHED") return FinishOutcome::finished;
  if (word == "EARLY") return FinishOutcome::early;
  if (word == "OTHER") return FinishOutcome::other;
  if (word == "STALE") return FinishOutcome::stale;
  throw_not_understood(escaped(word));
}

void RedisCoordinator::doubt(const RunId& run, const Address& host, const std::string& reason) {
  static_cast<void>(is_for_us(call_or_stale("doubt", {run.text(), host.text(), reason}), "VIEW"));
}

void RedisCoordinator::leave(const RunId& run, const Address& host, Retreat retreat,
                             const std::string& reason) {
  const auto answer = call_or_stale(
      "leave",
      {run.text(), host.text(), retreat == Retreat::altogether ? "all" : "claims", reason});
  static_cast<void>(is_for_us(answer, "LEFT"));
}

void RedisCoordinator::listen(const Address& host, std::chrono::seconds patience) {
  if (listening_) return;
  wakes_.send(
      {"BLPOP", options_.prefix + "sync:wake:" + host.text(), std::to_string(patience.count())});
  listening_ = true;
}

int RedisCoordinator::wake_descriptor() const { return listening_ ? wakes_.descriptor() : -1; }

Listening RedisCoordinator::heard() {
  if (!listening_) return Listening::on;
  listening_ = false;  // Also if what comes is an error, which is thrown.
  const auto answer = wakes_.received();
  if (!answer) {
    listening_ = wakes_.descriptor() >= 0;
    return listening_ ? Listening::on : Listening::lapsed;
  }
  if (const auto* const error = answer->error()) throw_not_understood(escaped(error->text));
  return answer->array() != nullptr ? Listening::woken : Listening::lapsed;
}

Status RedisCoordinator::status() {
  const auto answer = try_call("status", {});
  // No master has ever run here, and who only looks changes nothing.
  if (!answer) return {.task = task_or_nothing().value_or("")};
  AnswerReader reader(*answer);
  AnswerReader run_reader(reader.value());
  const AnswerFields run_fields(run_reader);
  AnswerReader last_reader(reader.value());
  const AnswerFields last_fields(last_reader);
  const auto now = reader.number();
  const auto free_sources = reader.number<std::size_t>();
  const auto expected = reader.number<std::size_t>();
  const auto announced = reader.number<std::size_t>();
  Status status;
  status.task = reader.text();
  const auto started = run_fields.number_or_zero("started");
  if (!run_fields.empty()) {
    // No report shows the digest, and a run of another version is to be seen, too.
    const auto manifest = read_manifest_digest(run_fields).value_or(Digest(Digest::Bytes{}));
    status.run = RunStatus{read_run(run_fields, manifest), between(started, now), announced,
                           free_sources, expected};
  }
  if (!last_fields.empty()) status.last = read_last(last_fields, now);
  while (!reader.at_end()) status.hosts.push_back(read_host(reader.value(), now, started));
  return status;
}

std::optional<Address> RedisCoordinator::own_address() {
  const auto text = verbs_.local_address();
  return text ? Address::parse(*text) : std::nullopt;
}

}  // namespace libsync
