#include "master/staging.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/pieces.h"
#include "libsync/core/shown_number.h"
#include "libsync/core/verdict.h"
#include "os/file_ranges.h"
#include "os/files.h"
#include "os/workers.h"
#include "store/state_folder.h"

namespace libsync {
namespace {

// Most threads that copy and hash. Hashing fills a core at the speed of fast disks, and copying the
// next piece meanwhile needs another. More threads only compete for the disk.
constexpr unsigned kThreadsAtMost = 4;

// After this many failed pushes in a row the tick ends, since the operator must act.
constexpr std::size_t kPushesAtMost = 5;
// Pause after a failed push.
constexpr Duration kPushBackOff{1000};

// Longest record that is read: a line for each of kMaxPieces fits.
constexpr std::size_t kRecordBytes = std::size_t{1} << 20U;

// The result of cutting one piece: its digest, or the reason why the payload is not as listed.
using CutOutcome = std::variant<StagedPiece, OriginalChanged>;

}  // namespace

StagingRecord read_staging_record(const Spool& spool) {
  return decode_staging_record(read_file(spool.digests_path(), kRecordBytes).value_or(""));
}

// The values that a thread needs to cut a piece.
struct Staging::Cutting {
  Spool spool;
  Cut cut;
  std::optional<Original> original;
  std::optional<Layout> layout;
  // For people.
  std::shared_ptr<ByteCount> copied = std::make_shared<ByteCount>(0);
  std::shared_ptr<ByteCount> hashed = std::make_shared<ByteCount>(0);
  std::shared_ptr<std::atomic<std::size_t>> listed = std::make_shared<std::atomic<std::size_t>>(0);

  [[nodiscard]] CutOutcome piece(PieceNumber number, const std::optional<StagedPiece>& known,
                                 const std::stop_token& stop) const {
    if (known && spool.accept(spool.piece_path(number), number, cut.bytes_of(number), known->digest,
                              stop, hashed.get()) == Verdict::good) {
      return *known;
    }
    if (!original) {
      return OriginalChanged{fmt::format("piece {} of the spool is damaged", number)};
    }
    return copy(number, stop);
  }

  [[nodiscard]] CutOutcome copy(PieceNumber number, const std::stop_token& stop) const {
    const auto fresh = spool.incoming_folder() / ("cut-" + piece_name(number));
    const auto bytes = cut.bytes_of(number);
    {
      const auto to = open_file(fresh, O_RDWR | O_CREAT | O_TRUNC, 0600);
      if (ftruncate(to.number(), static_cast<off_t>(bytes)) != 0) {
        throw_disk_failure("set the size of", fresh);
      }
      std::uint64_t offset = 0;
      for (const Segment& segment : layout->segments(number)) {
        const Entry& entry = original->payload.manifest.entries()[segment.entry];
        const auto from = open_entry(original->location, entry);
        // The next listing names a file that has vanished, or that this user may not read.
        if (!from && !is_fault_of_task(errno)) {
          throw_disk_failure("read", shown_path(original->location, entry));
        }
        if (!from || stamp_of(from) != original->payload.stamps[segment.entry] ||
            !copy_range(from, segment.offset, to, offset, segment.bytes, density_of(entry), stop,
                        copied.get())) {
          return OriginalChanged{
              fmt::format("'{}' changed while it was read",
                          escaped(shown_path(original->location, entry).string()))};
        }
        offset += segment.bytes;
      }
      Hasher hasher;
      RollingSummer summer;
      if (!hash_and_sum_range(hasher, summer, to, 0, bytes, stop, hashed.get())) {
        return OriginalChanged{"stopped"};
      }
      spool.make_servable(fresh);
      rename_path(fresh, spool.piece_path(number));
      return StagedPiece{number, hasher.finish(), summer.sum()};
    }
  }
};

Staging::Staging(MasterCoordinator& coordinator, Transfer& transfer, Clock& clock,
                 const StateFolder& state, RunInfo run, std::optional<Original> original)
    : coordinator_(coordinator),
      transfer_(transfer),
      clock_(clock),
      spool_(state.spool(run.fingerprint)),
      run_(std::move(run)),
      record_(read_staging_record(spool_)),
      probe_(transfer, state, run_.origin),
      push_again_(clock.now()),
      workers_(std::make_unique<Workers>(
          std::clamp(std::thread::hardware_concurrency(), 1U, kThreadsAtMost))) {
  Cutting cutting{.spool = spool_, .cut = run_.cut, .original = std::move(original), .layout = {}};
  if (cutting.original)
    cutting.layout.emplace(cutting.original->payload.manifest, run_.cut.piece_bytes);
  cutting_ = std::make_shared<const Cutting>(std::move(cutting));
  is_checked_ = record_.is_complete;
  begin();
  // The target of a push serves the pieces, and its minion probes its own daemon.
  if (run_.origin_kind == OriginKind::master) probe_.start(spool_.incoming_folder());
}

Staging::~Staging() = default;

void Staging::begin() {
  // The next line must not become part of the torn one.
  if (record_.is_torn) append_to_file(spool_.digests_path(), "\n");
  for (PieceNumber piece = 0; piece < run_.cut.pieces(); ++piece) {
    const auto known = record_.digests.find(piece);
    const auto staged =
        known == record_.digests.end() ? std::nullopt : std::optional<StagedPiece>(known->second);
    workers_->submit(
        [cutting = cutting_, piece, staged](const std::stop_token& stop) {
          return cutting->piece(piece, staged, stop);
        },
        [this](const CutOutcome& result) {
          if (const auto* const changed = std::get_if<OriginalChanged>(&result)) {
            if (!changed_) changed_ = changed->reason;
          } else {
            on_cut(std::get<StagedPiece>(result));
          }
        });
  }
}

// Puts the digest on record before it is announced: a later tick must announce the same or none.
void Staging::on_cut(const StagedPiece& piece) {
  const auto known = record_.digests.find(piece.piece);
  if (known != record_.digests.end() && known->second.digest != piece.digest) {
    changed_ = fmt::format("'{}' changed since piece {} was announced",
                           escaped(cutting_->original->location.shown.string()), piece.piece);
    return;
  }
  if (known == record_.digests.end()) {
    record_.digests.insert_or_assign(piece.piece, piece);
    append_to_file(spool_.digests_path(), staging_line(piece));
  }
  if (run_.origin_kind == OriginKind::minion) {
    cut_.push_back(piece);
  } else {
    to_announce_.push_back(piece);
  }
}

std::optional<StagingEnd> Staging::step() {
  workers_->collect();
  if (changed_) return OriginalChanged{*changed_};
  collect_transfers();
  probe_.step(clock_.now());
  push();
  if (is_last_missing()) check_payload();
  announce();
  if (is_stale_) return StagingStale{};
  if (announced_.size() == run_.cut.pieces() && !probe_.is_running()) {
    return StagedAll{run_.cut.stream_bytes};
  }
  return std::nullopt;
}

void Staging::append_descriptors(std::vector<int>& descriptors) const {
  descriptors.push_back(workers_->descriptor());
  transfer_.append_descriptors(descriptors);
}

std::string Staging::work() const {
  if (is_checking_) {
    return fmt::format("listing the payload again, {} of {} entries",
                       shown_count(cutting_->listed->load()),
                       shown_count(cutting_->original->payload.stamps.size()));
  }
  if (push_) return fmt::format("pushing {} pieces", being_pushed_.size());
  const auto bytes = run_.cut.stream_bytes;
  const auto hashed = std::min(cutting_->hashed->load(), bytes);
  if (workers_->pending() == 0 || hashed == bytes) return {};
  return fmt::format("copied {} and hashed {} of {}",
                     shown_bytes(std::min(cutting_->copied->load(), bytes)), shown_bytes(hashed),
                     shown_bytes(bytes));
}

Instant Staging::next_due() const {
  const bool waits_to_push = !push_ && !cut_.empty();
  return std::min(
      {transfer_.next_check(), probe_.due(), waits_to_push ? push_again_ : Instant::max()});
}

bool Staging::is_last_missing() const {
  return announced_.size() + to_announce_.size() == run_.cut.pieces() && !is_checked_ &&
         !is_checking_;
}

void Staging::check_payload() {
  is_checking_ = true;
  workers_->submit(
      [cutting = cutting_](const std::stop_token& stop) -> std::optional<std::string> {
        const Original& original = *cutting->original;
        const auto now = list_payload(
            original.location, stop, [&](std::size_t entries) { cutting->listed->store(entries); });
        if (const auto* const refusal = std::get_if<Refusal>(&now)) return refusal->reason;
        // A name that appears, vanishes or moves changes the stamp of its folder.
        if (std::get<Payload>(now).stamps == original.payload.stamps) return std::nullopt;
        return fmt::format("'{}' changed while it was read",
                           escaped(original.location.shown.string()));
      },
      [this](const std::optional<std::string>& reason) {
        is_checking_ = false;
        is_checked_ = !reason;
        changed_ = reason;
      });
}

void Staging::announce() {
  const auto all = run_.cut.pieces();
  auto ready = to_announce_;
  const bool are_all_here = announced_.size() + ready.size() == all;
  if (are_all_here && !is_checked_) ready.pop_back();
  if (ready.empty()) return;
  const bool is_final = announced_.size() + ready.size() == all;
  if (is_final && !record_.is_complete) {
    append_to_file(spool_.digests_path(), staging_end_line());
    sync_path(spool_.digests_path());
    record_.is_complete = true;
  }
  const auto outcome =
      coordinator_.stage(run_.id, ready, is_final ? RunState::staged : RunState::staging);
  if (std::holds_alternative<Stale>(outcome)) {
    is_stale_ = true;
    return;
  }
  for (const auto& staged : ready) announced_.insert(staged.piece);
  std::erase_if(to_announce_,
                [&](const StagedPiece& piece) { return announced_.contains(piece.piece); });
}

std::optional<std::string> Staging::pop_probe_fault() {
  return std::exchange(probe_fault_, std::nullopt);
}

void Staging::collect_transfers() {
  for (const auto& event : transfer_.collect()) {
    const auto* const ended = std::get_if<TransferEnded>(&event);
    if (ended == nullptr) continue;
    if (probe_.owns(ended->id)) {
      if (const auto verdict = probe_.on(*ended, clock_.now())) probe_fault_ = verdict->fault;
    } else if (push_ == ended->id) {
      on_pushed(*ended);
    }
  }
}

void Staging::on_pushed(const TransferEnded& ended) {
  push_.reset();
  if (ended.end == PullEnd::good) {
    manifest_is_pushed_ = true;
    failed_pushes_ = 0;
    to_announce_.insert(to_announce_.end(), being_pushed_.begin(), being_pushed_.end());
  } else {
    ++failed_pushes_;
    push_again_ = clock_.now() + kPushBackOff;
    cut_.insert(cut_.end(), being_pushed_.begin(), being_pushed_.end());
    if (failed_pushes_ >= kPushesAtMost || ended.end == PullEnd::refused) {
      throw Failure(ExitStatus::no_source, Remedy::operator_acts,
                    fmt::format("cannot push: {}", ended.detail));
    }
  }
  being_pushed_.clear();
}

// Pushes all pieces that were cut since the last push.
void Staging::push() {
  if (push_ || cut_.empty() || clock_.now() < push_again_) return;
  PushRequest request{.target = run_.origin,
                      .from = spool_.folder(),
                      .names = {},
                      .folder = "push/" + spool_.fingerprint().text()};
  if (!manifest_is_pushed_) request.names.emplace_back("manifest");
  for (const auto& staged : cut_) request.names.push_back(piece_name(staged.piece));
  push_ = transfer_.start(request);
  being_pushed_ = std::move(cut_);
  cut_.clear();
}

}  // namespace libsync
