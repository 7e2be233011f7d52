// Download, where pulls begin: by a claim, or along the trees of a large run (streams.h).

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/pieces.h"
#include "minion/download.h"
#include "os/files.h"
#include "os/random.h"

namespace libsync {
namespace {

std::string shown_bytes(std::uint64_t bytes) {
  return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9);
}

}  // namespace

void Download::start_pull(const Claim& claim, Instant asked) {
  pace_.started(start_pull(claim, Promise::given), asked);
}

TransferId Download::start_pull(const Claim& claim, Promise promise) {
  const bool wants_manifest = !placement_.has_manifest() && !ledger_.is_manifest_on_the_way();
  PullRequest request{.source = claim.source,
                      .folder = ".libsync/" + run_.fingerprint.text(),
                      .names = {},
                      .into = spool_.incoming_folder(),
                      .bytes = 0,
                      .density = run_.density,
                      .absent = promise == Promise::given ? Absent::is_fault : Absent::is_ignored};
  // A claim without pieces is for the manifest, even if that has come from elsewhere meanwhile.
  if (wants_manifest || claim.pieces.empty()) {
    request.names.emplace_back("manifest");
    request.largest = run_.manifest_bytes;
  }
  if (!claim.pieces.empty()) check_space();
  for (const auto& [piece, digest] : claim.pieces) {
    if (piece >= run_.cut.pieces()) {
      throw Failure(ExitStatus::redis, Remedy::operator_acts,
                    "Redis grants a piece that the run does not have: run the same version of "
                    "sync-fanout everywhere");
    }
    request.names.push_back(piece_name(piece));
    request.bytes += run_.cut.bytes_of(piece);
    request.largest = std::max(request.largest, run_.cut.bytes_of(piece));
    spool_.make_way(piece, run_.cut.bytes_of(piece), run_.density);
  }
  log_start(claim.source);
  const auto id = transfer_.start(request);
  ledger_.add(id, claim, wants_manifest ? PullsManifest::yes : PullsManifest::no, promise);
  return id;
}

void Download::log_search() {
  if (!has_searched_) spdlog::info("try to get a available rsync source");
  has_searched_ = true;
}

void Download::log_start(const Address& source) {
  if (!has_started_) spdlog::info("add lock to running_queue");
  const bool is_new = fed_by_.try_emplace(source, 0).second;
  spdlog::log(is_new ? spdlog::level::info : spdlog::level::debug, "start rsync from {}",
              source.text());
  if (!has_started_) {
    spdlog::info("START rsync:\n  syn_queue:{}\n  fin_queue:{}\n", view_.sources, view_.finished);
  }
  has_started_ = true;
}

std::uint64_t Download::room_for(const Spool& spool) {
  const auto left = bytes_below(spool.incoming_folder());
  // Where blocks are shared, a tree that goes gives back none.
  const auto tree = can_share_blocks(spool.folder()) ? 0 : bytes_below(spool.tree_folder());
  return free_bytes(spool.folder()) + left + tree;
}

// Only before the first bytes: later, what is missing grows smaller as fast as what is free. What
// may be here, or in what is published, counts as here: a host is not kept from a run by what it
// has.
void Download::check_space() {
  if (std::exchange(is_space_checked_, true)) return;
  const auto& cut = run_.cut;
  std::uint64_t needed = can_share_blocks(spool_.folder()) ? 0 : cut.stream_bytes;
  const auto here = placement_.not_to_claim();
  for (PieceNumber piece = 0; piece < cut.pieces(); ++piece) {
    if (!here.contains(piece)) needed += cut.bytes_of(piece);
  }
  const auto free = std::max(room_, free_bytes(options_.repo));
  if (free >= needed) return;
  is_space_checked_ = false;
  throw Failure(
      ExitStatus::local, Remedy::try_again,
      fmt::format("{} needs {} on the file system of '{}' while the run lasts, and {} are "
                  "free: free some space there",
                  escaped(run_.name), shown_bytes(needed), escaped(options_.repo.string()),
                  shown_bytes(free)));
}

// Whoever was told how many slots to use uses no more, and trees take as many pulls as there are
// trees. A host that nobody can pull from has no place in them.
bool Download::is_in_trees() const {
  return run_.has_trees && feed_ == Delivery::pulled && !options_.slots &&
         (is_served_ || fault_told_.empty());
}

Instant Download::follow_due() const {
  if (!is_served_) return Instant::max();
  if (is_called_) return reported_at_;
  auto unwanted = placement_.not_to_claim();
  unwanted |= ledger_.in_flight();
  return reported_at_ + streams_.pause(unwanted, parent_reports_);
}

void Download::follow(Clearance clearance) {
  log_search();
  const auto offered = slots_to_offer();
  const auto outcome = coordinator_.report_from_seat(run_.id, options_.self, holdings(), offered,
                                                     clearance, streams_.known(), parent_reports_);
  parent_reports_.clear();
  is_called_ = false;
  note_told(offered);
  if (clearance == Clearance::cleared) is_suspect_ = false;
  patience_ = Streams::patience;
  if (const auto* const followed = std::get_if<Seated>(&outcome)) {
    streams_.follow(followed->seat);
    take(followed->view);
  } else {
    is_gone_ = true;
  }
}

void Download::stream() {
  if (!is_in_trees() || is_gone_) return;
  for (auto& report : streams_.overdue(placement_.in_place(), clock_.now()))
    parent_reports_.push_back(std::move(report));
  for (const auto id : streams_.give_up(clock_.now()))
    transfer_.end(id, "brought nothing while others did");
  for (;;) {
    auto unwanted = placement_.not_to_claim();
    unwanted |= ledger_.in_flight();
    const auto pull = streams_.next(unwanted, clock_.now());
    if (!pull) return;
    log_search();
    const auto id =
        start_pull(Claim{random_name<Token>(), pull->parent, pull->pieces}, Promise::none);
    streams_.started(*pull, id, clock_.now());
  }
}

// A stream's. If all parents fail there are still sources to claim from.
void Download::take(const CompletedPull& over) {
  ledger_.forget(over.id);
  const auto report =
      streams_.ended(over.id, over.end, over.detail, placement_.in_place(), clock_.now());
  if (report && over.end != PullEnd::local) parent_reports_.push_back(*report);
  tell_failed(over.end, over.detail);
}

}  // namespace libsync
