#include "programs/own_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/shown_number.h"
#include "libsync/core/state_folder_name.h"
#include "os/files.h"
#include "store/receipts.h"

namespace libsync {
namespace {

// Sources with a line of their own in the text; JSON has them all.
constexpr std::size_t kSourcesShown = 10;

double seconds_since(std::chrono::system_clock::time_point at, const OwnFacts& facts) {
  return std::max(0.0, std::chrono::duration<double>(facts.now - at).count());
}

PieceNumber fed_pieces(const PublishedNote& note) {
  PieceNumber pieces = 0;
  for (const auto& [source, count] : note.fed_by) pieces += count;
  return std::min(pieces, note.pieces);
}

std::string sources_text(const PublishedNote& note) {
  std::vector<std::pair<PieceNumber, std::string>> sources;
  for (const auto& [source, pieces] : note.fed_by) sources.emplace_back(pieces, source.text());
  std::stable_sort(sources.begin(), sources.end(),
                   [](const auto& one, const auto& other) { return one.first > other.first; });
  std::string text;
  PieceNumber left = 0;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const auto& [pieces, source] = sources[i];
    if (i < kSourcesShown) text += fmt::format("from     {}: {} pieces\n", source, pieces);
    if (i >= kSourcesShown) left += pieces;
  }
  if (left > 0) {
    text +=
        fmt::format("from     {} other hosts: {} pieces\n", sources.size() - kSourcesShown, left);
  }
  const auto kept = note.pieces - fed_pieces(note);
  if (kept > 0) text += fmt::format("from     this host: {} pieces that it had\n", kept);
  return text;
}

std::string published_text(const OwnFacts& facts) {
  if (!facts.published) return "payload  none published here yet\n";
  const auto& note = facts.published->value;
  return fmt::format(
             "payload  {}, published {:.0f} s ago{}\n"
             "run      {}: {} in {:.1f} s, {} pulled\n",
             escaped(note.task.text()), seconds_since(facts.published->at, facts),
             facts.is_there ? "" : ", and not there any more", note.run.text(),
             shown_bytes(static_cast<double>(note.bytes)), in_seconds(note.took),
             shown_bytes(static_cast<double>(note.wire_bytes))) +
         sources_text(note);
}

std::string tick_text(const TickFacts& tick) {
  if (!tick.begun_ago) return "tick     none yet: is the cron line there?\n";
  return tick.is_running
             ? fmt::format("tick     at work for {} s\n", tick.begun_ago->count())
             : fmt::format("tick     last one began {} s ago\n", tick.begun_ago->count());
}

std::string fault_text(std::string_view label, const std::optional<Noted<std::string>>& fault,
                       const OwnFacts& facts) {
  if (!fault) return {};
  return fmt::format("{:<8} since {:.0f} s ago: {}\n", label, seconds_since(fault->at, facts),
                     escaped(fault->value));
}

nlohmann::json fault_json(const std::optional<Noted<std::string>>& fault, const OwnFacts& facts) {
  if (!fault) return nullptr;
  return {{"reason", escaped(fault->value)}, {"seconds_ago", seconds_since(fault->at, facts)}};
}

nlohmann::json published_json(const OwnFacts& facts) {
  if (!facts.published) return nullptr;
  const auto& note = facts.published->value;
  nlohmann::json json = {{"path", escaped(note.task.text())},
                         {"run", note.run.text()},
                         {"bytes", note.bytes},
                         {"pieces", note.pieces},
                         {"pulled_bytes", note.wire_bytes},
                         {"seconds", in_seconds(note.took)},
                         {"published_seconds_ago", seconds_since(facts.published->at, facts)},
                         {"is_there", facts.is_there}};
  json["pieces_from"] = nlohmann::json::object();
  for (const auto& [source, pieces] : note.fed_by) json["pieces_from"][source.text()] = pieces;
  return json;
}

}  // namespace

OwnFacts own_facts(const std::filesystem::path& repo, const Clock& clock) {
  OwnFacts facts{.repo = repo, .now = clock.wall()};
  const auto state = repo / kStateFolderName;
  try {
    facts.free_bytes = free_bytes(repo);
    facts.tick = tick_facts(StateFolder::lock_path(state, Role::minion), clock);
    const Notes notes(state);
    const Receipts receipts(state);
    facts.published = notes.published();
    if (facts.published) {
      const auto& note = facts.published->value;
      facts.is_there = receipts.has(repo / note.task.name(), note.manifest);
    }
    facts.tick_fault = notes.fault(NotedFault::tick);
    facts.feed_fault = notes.fault(NotedFault::feed);
    facts.hook_fault = notes.fault(NotedFault::hook);
    facts.hook_owed = receipts.hook_owed();
  } catch (const Failure& failure) {
    facts.unreadable = failure.what();
  }
  return facts;
}

void leave_out_own(Status& status, const Address& self, const OwnFacts& facts) {
  const auto clear_if_known = [](std::string& reason, const auto& fault) {
    if (fault && fault->value.starts_with(reason)) reason.clear();
  };
  for (auto& host : status.hosts) {
    if (host.address != self.text()) continue;
    clear_if_known(host.feed_fault, facts.feed_fault);
    clear_if_known(host.hook_fault, facts.hook_fault);
  }
}

std::string own_text(const OwnFacts& facts) {
  if (!facts.unreadable.empty()) return fmt::format("here     {}\n", facts.unreadable);
  auto text = published_text(facts) + tick_text(facts.tick);
  if (facts.tick_fault) {
    text += fmt::format("error    {:.0f} s ago: {}\n", seconds_since(facts.tick_fault->at, facts),
                        escaped(facts.tick_fault->value));
  }
  text += fault_text("no feed", facts.feed_fault, facts);
  text += fault_text("hook", facts.hook_fault, facts);
  if (facts.hook_owed) {
    text +=
        fmt::format("hook     owed: it has not ended for '{}' yet\n", escaped(*facts.hook_owed));
  }
  return text + fmt::format("disk     {} free in '{}'\n",
                            shown_bytes(static_cast<double>(facts.free_bytes)),
                            escaped(facts.repo.string()));
}

std::string own_json(const OwnFacts& facts) {
  nlohmann::json json;
  json["unreadable"] =
      facts.unreadable.empty() ? nlohmann::json() : nlohmann::json(escaped(facts.unreadable));
  json["payload"] = published_json(facts);
  json["tick_at_work"] = facts.tick.is_running;
  json["tick_begun_seconds_ago"] =
      facts.tick.begun_ago ? nlohmann::json(facts.tick.begun_ago->count()) : nlohmann::json();
  json["error"] = fault_json(facts.tick_fault, facts);
  json["feed_fault"] = fault_json(facts.feed_fault, facts);
  json["hook_fault"] = fault_json(facts.hook_fault, facts);
  json["hook_owed"] =
      facts.hook_owed ? nlohmann::json(escaped(*facts.hook_owed)) : nlohmann::json();
  json["disk_free_bytes"] = facts.free_bytes;
  return json.dump();
}

}  // namespace libsync
