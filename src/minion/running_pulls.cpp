#include "minion/running_pulls.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "libsync/core/state_folder_name.h"
#include "os/files.h"

namespace libsync {

RunningPulls::RunningPulls(Transfer& transfer, Spool spool, RunInfo run)
    : transfer_(transfer),
      spool_(std::move(spool)),
      run_(std::move(run)),
      prefill_(spool_, run_.cut) {}

TransferId RunningPulls::start(const Assignment& assignment, const Basis& basis) {
  const auto id = transfer_.reserve();
  preparing_.emplace(id, request_for(assignment));
  const bool is_ready = prefill_.prepare(assignment, basis, [this, id] { return begin(id); });
  if (is_ready) static_cast<void>(begin(id));
  return id;
}

PullRequest RunningPulls::request_for(const Assignment& assignment) const {
  PullRequest request{.source = assignment.source,
                      .folder = in_state_folder(run_.fingerprint.text()),
                      .names = {},
                      .into = spool_.incoming_folder(assignment.attempt),
                      .absent = assignment.token ? Absent::is_fault : Absent::is_ignored};
  if (assignment.manifests == Manifests::one) {
    request.names.emplace_back("manifest");
    request.largest = run_.manifest_bytes;
  }
  for (const auto& staged : assignment.pieces) {
    request.names.push_back(piece_name(staged.piece));
    request.largest = std::max(request.largest, run_.cut.bytes_of(staged.piece));
  }
  return request;
}

// The pull may have ended while its files got their old bytes.
Prefill::Pull RunningPulls::begin(TransferId id) {
  const auto prepared = preparing_.extract(id);
  if (prepared.empty()) return Prefill::Pull::has_ended;
  if (auto begun = begun_files(prepared.mapped()); !begun.empty()) held_[id] = std::move(begun);
  transfer_.start(id, prepared.mapped());
  return Prefill::Pull::begins;
}

RunningPulls::Held RunningPulls::begun_files(const PullRequest& request) {
  Held begun;
  for (const auto& name : request.names) {
    const auto status = status_of(request.into / name);
    if (status && status->st_size > 0) begun.emplace(name, std::nullopt);
  }
  return begun;
}

void RunningPulls::end(TransferId id, const std::string& reason) {
  const auto unstarted = preparing_.extract(id);
  if (unstarted.empty()) return transfer_.end(id, reason);
  const auto& source = unstarted.mapped().source.text();
  unstarted_.emplace_back(
      TransferEnded{id, PullEnd::unreachable, fmt::format("the pull from {} {}", source, reason)});
}

std::vector<TransferEvent> RunningPulls::collect() {
  auto events = std::exchange(unstarted_, {});
  for (auto& event : transfer_.collect()) collect(std::move(event), events);
  prefill_.collect();
  return events;
}

std::optional<FileArrived>* RunningPulls::held(const FileArrived& file) {
  const auto pull = held_.find(file.id);
  if (pull == held_.end()) return nullptr;
  const auto begun = pull->second.find(file.name);
  return begun == pull->second.end() ? nullptr : &begun->second;
}

void RunningPulls::collect(TransferEvent event, std::vector<TransferEvent>& events) {
  if (const auto* const file = std::get_if<FileArrived>(&event)) {
    if (auto* const last = held(*file)) {
      const auto earlier = *last ? (*last)->wire_bytes : 0;
      *last = *file;
      (*last)->wire_bytes += earlier;
      return;
    }
    prefill_.arrived(*file);
  }
  if (const auto* const ended = std::get_if<TransferEnded>(&event)) release(*ended, events);
  events.push_back(std::move(event));
}

// After any other end a file may hold false blocks, which would be blamed on the source.
void RunningPulls::release(const TransferEnded& ended, std::vector<TransferEvent>& events) {
  const auto pull = held_.extract(ended.id);
  if (pull.empty() || ended.end != PullEnd::good) return;
  for (const auto& [name, file] : pull.mapped()) {
    if (!file) continue;
    prefill_.arrived(*file);
    events.emplace_back(*file);
  }
}

void RunningPulls::append_descriptors(std::vector<int>& descriptors) const {
  transfer_.append_descriptors(descriptors);
  prefill_.append_descriptors(descriptors);
}

}  // namespace libsync
