// The verbs of MinionCoordinator.

#include <string>
#include <utility>

#include "libsync/core/escaped_text.h"
#include "redis/answer.h"
#include "redis/coordinator.h"

namespace libsync {
namespace {

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

// The arguments that hold and follow share.
RedisCommand report_of(const RunId& run, const Address& host, const Holdings& holdings,
                       unsigned slots, Clearance clearance) {
  return {run.text(),
          host.text(),
          holdings.servable.bitmap(),
          std::to_string(slots),
          std::to_string(holdings.in_place),
          clearance == Clearance::cleared ? "1" : "0"};
}

}  // namespace

JoinOutcome RedisCoordinator::join(const Address& host, const HostId& id, Arrival arrival,
                                   SeatWish seat, Duration stays) {
  const bool waits = seat == SeatWish::wanted && stays > Duration::zero();
  const auto answer = try_call("join", {host.text(), arrival == Arrival::first_of_tick ? "1" : "0",
                                        seat == SeatWish::wanted ? "1" : "0",
                                        std::to_string(waits ? stays.count() : 0), id.text()});
  if (!answer) return NoLibrary{};
  return read_join(*answer, options_.peers);
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
                                               const std::vector<ParentFeedback>& feedback) {
  auto arguments = report_of(run, host, holdings, slots, clearance);
  arguments.push_back(known.bitmap());
  for (const auto& about : feedback) {
    const bool is_slow = about.kind == ParentFeedback::Kind::slow;
    arguments.insert(arguments.end(),
                     {about.parent.text(), is_slow ? "slow" : word_of(about.end), about.detail});
  }
  const auto answer = call_or_stale("follow", arguments);
  if (!is_for_us(answer, "FOLLOWED")) return Stale{};
  AnswerReader reader(answer);
  static_cast<void>(reader.text());
  const auto view = reader.view();
  return Seated{view, reader.seat(options_.peers)};
}

ClaimOutcome RedisCoordinator::claim(const RunId& run, const Address& host,
                                     const Holdings& holdings, const Want& want) {
  return read_claim(
      call_or_stale("claim", {run.text(), host.text(), want.token.text(),
                              std::to_string(want.most_pieces), holdings.servable.bitmap(),
                              want.unwanted.bitmap(), want.beside ? want.beside->text() : ""}),
      options_.peers);
}

ClaimOutcome RedisCoordinator::complete(const RunId& run, const Address& host, const Token& token,
                                        PullEnd end, const std::string& detail,
                                        const Holdings& holdings, const std::optional<Want>& next) {
  return read_claim(
      call_or_stale(
          "complete",
          {run.text(), host.text(), token.text(), word_of(end), detail, holdings.servable.bitmap(),
           std::to_string(holdings.in_place), next ? next->token.text() : "",
           std::to_string(next ? next->most_pieces : 0), next ? next->unwanted.bitmap() : "",
           next && next->beside ? next->beside->text() : ""}),
      options_.peers);
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
  const auto answer = call_or_stale("finish", {run.text(), host.text(), manifest_field(manifest),
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

void RedisCoordinator::report_fault(const RunId& run, const Address& host, Fault fault,
                                    const std::string& reason) {
  const auto* const kind = fault == Fault::feed ? "feed" : "hook";
  static_cast<void>(
      is_for_us(call_or_stale("fault", {run.text(), host.text(), kind, reason}), "VIEW"));
}

void RedisCoordinator::show_work(const RunId& run, const Address& host, const std::string& text) {
  static_cast<void>(
      is_for_us(call_or_stale("fault", {run.text(), host.text(), "work", text}), "VIEW"));
}

void RedisCoordinator::give_account(const RunId& run, const Address& host,
                                    const OwnAccount& account) {
  const auto span = [](const std::optional<Duration>& one) {
    return one ? std::to_string(one->count()) : "";
  };
  const auto& pulls = account.pulls;
  static_cast<void>(is_for_us(
      call_or_stale("account", {run.text(), host.text(), span(account.joined_ago),
                                span(account.first_byte_ago), span(account.last_byte_ago),
                                span(account.in_place_ago), std::to_string(pulls.wire_bytes),
                                std::to_string(pulls.pieces), std::to_string(pulls.failed),
                                std::to_string(pulls.twice), std::to_string(pulls.bytes_per_second),
                                encode(account.shares), account.reason}),
      "VIEW"));
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
  wake_key_ = options_.prefix + "sync:wake:" + host.text();
  wakes_.send({"BLPOP", wake_key_, std::to_string(patience.count())});
  listening_ = true;
}

int RedisCoordinator::wake_descriptor() const { return listening_ ? wakes_.descriptor() : -1; }

Listening RedisCoordinator::heard() {
  if (!listening_) return Listening::on;
  listening_ = false;  // Even if the answer is an error, which is thrown.
  const auto answer = wakes_.received();
  if (!answer) {
    listening_ = wakes_.descriptor() >= 0;
    return listening_ ? Listening::on : Listening::lapsed;
  }
  if (is_wrong_type(*answer)) {
    static_cast<void>(verbs_.ask({"EXPIRE", wake_key_, "0"}));
    return Listening::lapsed;
  }
  if (const auto* const error = answer->error()) throw_not_understood(escaped(error->text));
  return answer->array() != nullptr ? Listening::woken : Listening::lapsed;
}

}  // namespace libsync
