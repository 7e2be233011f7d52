#include "master/records.h"

#include <fmt/format.h>

#include <algorithm>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/run_record.h"
#include "libsync/core/shown_number.h"
#include "os/files.h"

namespace libsync {
namespace {

// Longest file of stamps that is read. A stamp has some 60 bytes.
constexpr std::size_t kStampsBytes = std::size_t{1} << 30U;

struct ListedPayload {
  Manifest manifest;
  std::string encoded;
};

// Nothing if the spool lacks its manifest, or has a damaged one.
std::optional<ListedPayload> listed_in(const Spool& spool) {
  auto encoded = read_file(spool.manifest_path(), Manifest::max_bytes);
  if (!encoded) return std::nullopt;
  auto decoded = Manifest::decode(*encoded);
  auto* const manifest = std::get_if<Manifest>(&decoded);
  if (manifest == nullptr) return std::nullopt;
  return ListedPayload{std::move(*manifest), *std::move(encoded)};
}

}  // namespace

std::variant<Original, Refusal> MasterRecords::find(const TaskPath& task) const {
  auto location = locate_task(task, source_roots_, repo_);
  if (auto* const refusal = std::get_if<Refusal>(&location)) return std::move(*refusal);
  auto payload = list_payload(std::get<Location>(location), stop_, on_entry_);
  if (auto* const refusal = std::get_if<Refusal>(&payload)) return std::move(*refusal);
  return Original{task, std::get<Location>(std::move(location)),
                  std::get<Payload>(std::move(payload))};
}

std::variant<Original, Refusal, Failure> MasterRecords::find_if_reachable(
    const TaskPath& task) const {
  try {
    auto found = find(task);
    if (auto* const original = std::get_if<Original>(&found)) return std::move(*original);
    return std::get<Refusal>(std::move(found));
  } catch (const Failure& failure) {
    return failure;
  }
}

std::optional<std::uint64_t> MasterRecords::piece_bytes_of(const Fingerprint& content) const {
  for (const auto& [spool, owner] : state_.spools_of(Role::master, prefix_)) {
    if (owner.content == content) return owner.piece_bytes;
  }
  return std::nullopt;
}

void MasterRecords::prepare(const NewRun& run, const std::vector<Stamp>& stamps) const {
  const auto spool = state_.spool(run.info.fingerprint);
  check_space(spool, run.info);
  const auto encoded = encode_stamps(stamps);
  const bool is_same = read_file(spool.stamps_path(), kStampsBytes) == encoded;
  // The record says durably that this run has not begun, before an earlier run's files change.
  spool.assign(run.record);
  // The fingerprint covers sizes and mtimes. A change that kept both shows in the stamps only.
  if (!is_same) remove_file(spool.digests_path());
  replace_file(spool.stamps_path(), encoded, 0600);
  spool.write_served(spool.manifest_path(), run.manifest);
}

void MasterRecords::check_space(const Spool& spool, const RunInfo& run) const {
  const auto state = spool.folder().parent_path();
  auto needed = can_share_blocks(state) ? 0 : run.cut.stream_bytes;
  for (const auto piece : spool.pieces_found(run.cut).members()) {
    needed -= std::min(needed, run.cut.bytes_of(piece));
  }
  const auto free = free_bytes(state);
  if (free >= needed) return;
  throw Failure(
      ExitStatus::local, Remedy::try_again,
      fmt::format("the pieces of '{}' need {} on the file system of '{}', and {} are free: "
                  "free some space there",
                  escaped(run.task.text()), shown_gigabytes(needed), escaped(repo_.string()),
                  shown_gigabytes(free)));
}

bool MasterRecords::lacks_pieces(const RunRecord& owner) const {
  const auto spool = spool_of(owner.run);
  const auto payload = spool ? listed_in(*spool) : std::nullopt;
  return !payload ||
         !spool->pieces_found({payload->manifest.bytes(), owner.piece_bytes}).is_complete();
}

std::optional<RunRecord> MasterRecords::own_run(const Watch& watch) const {
  std::optional<RunRecord> unended;
  for (auto& [spool, owner] : state_.spools_of(Role::master, prefix_)) {
    if (watch.run && owner.run == watch.run->id) return std::move(owner);
    if (owner.standing == Standing::running) unended = std::move(owner);
  }
  return unended;
}

std::optional<RunInfo> MasterRecords::describe(const RunRecord& owner,
                                               const OriginTerms& terms) const {
  const auto spool = spool_of(owner.run);
  if (!spool || owner.piece_bytes == 0) return std::nullopt;
  const auto payload = listed_in(*spool);
  // Minions would publish the names, modes and times of a rotten manifest: a Redis that lost the
  // run has no digest to refuse it by.
  if (!payload ||
      fingerprint_of(owner.task, payload->manifest, owner.piece_bytes) != spool->fingerprint()) {
    return std::nullopt;
  }
  // No fingerprint covers owners.
  if (owner.manifest && digest_of(payload->encoded) != *owner.manifest) return std::nullopt;
  return info_of(owner, spool->fingerprint(), payload->manifest, payload->encoded, terms,
                 state_.master_id());
}

std::optional<Original> MasterRecords::unchanged_original(const RunRecord& owner,
                                                          Needed needed) const {
  const auto spool = spool_of(owner.run);
  auto found = find_if_reachable(owner.task);
  const auto* const failure = std::get_if<Failure>(&found);
  if (failure != nullptr && needed == Needed::yes) throw Failure(*failure);
  auto* const original = std::get_if<Original>(&found);
  if (!spool || original == nullptr ||
      read_file(spool->stamps_path(), kStampsBytes) != encode_stamps(original->payload.stamps)) {
    return std::nullopt;
  }
  // The file system may report other holes now: reading a preallocated block ends its hole, and
  // changes no stamp. The pieces that are announced lie in the stream of the manifest on record.
  auto listed = listed_in(*spool);
  if (!listed) return std::nullopt;
  original->payload.manifest = std::move(listed->manifest);
  return std::move(*original);
}

bool MasterRecords::has_other_contents(const RunRecord& owner) const {
  const auto found = find_if_reachable(owner.task);
  const auto* const original = std::get_if<Original>(&found);
  return original != nullptr &&
         fingerprint_of(owner.task, original->payload.manifest, 0) != owner.content;
}

std::optional<Spool> MasterRecords::spool_of(const RunId& run) const {
  for (auto& [spool, owner] : state_.spools_of(Role::master, prefix_)) {
    if (owner.run == run) return spool;
  }
  return std::nullopt;
}

void MasterRecords::write(const RunRecord& owner) const {
  if (const auto spool = spool_of(owner.run)) spool->assign(owner);
}

void MasterRecords::rename(RunRecord owner, const RunId& as) const {
  const auto spool = spool_of(owner.run);
  owner.run = as;
  if (spool) spool->assign(owner);
}

void MasterRecords::drop(const RunId& run) const {
  if (const auto spool = spool_of(run)) spool->leave(Role::master);
}

void MasterRecords::drop_ended() const {
  for (const auto& [spool, owner] : state_.spools_of(Role::master, prefix_)) {
    if (owner.standing == Standing::ended) spool.leave(Role::master);
  }
}

std::vector<std::string> MasterRecords::drop_all_but(
    const Fingerprint& kept, std::chrono::system_clock::time_point now) const {
  for (const auto& [spool, owner] : state_.spools_of(Role::master, prefix_)) {
    if (spool.fingerprint() != kept) spool.leave(Role::master);
  }
  std::vector<std::string> lines;
  for (const auto& stray : state_.strays(Role::master, prefix_, now, stop_)) {
    const bool is_useless = stray.is_old || stray.record;
    lines.push_back(stray.why + (is_useless ? ": deleting it" : ": it stays for a week"));
    if (is_useless && stray.spool.fingerprint() != kept) stray.spool.leave(Role::master);
  }
  return lines;
}

}  // namespace libsync
