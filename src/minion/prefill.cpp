#include "minion/prefill.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "libsync/core/failure.h"
#include "libsync/core/shown_number.h"
#include "os/files.h"
#include "os/workers.h"

namespace libsync {
namespace {

// The pull can do without old bytes, so a failure of the disk costs only bytes.
bool try_to_fill(const OldCopy& old, PieceNumber piece, const std::filesystem::path& file,
                 const std::stop_token& stop, ByteCount* count) {
  try {
    return old.fill(piece, file, stop, count);
  } catch (const Failure& failure) {
    spdlog::debug("piece {} begins without old bytes: {}", piece, failure.what());
    remove_file(file);
    return false;
  }
}

}  // namespace

Prefill::Prefill(Spool spool, Cut cut) : spool_(std::move(spool)), cut_(cut) {}

Prefill::~Prefill() = default;

bool Prefill::prepare(const Assignment& assignment, const Basis& basis, Then then) {
  std::vector<File> files;
  std::vector<File> awaited;  // The thread fills them, perhaps for an earlier pull.
  for (const auto& staged : assignment.pieces) {
    const auto piece = staged.piece;
    const auto path = spool_.incoming_path(piece, assignment.attempt);
    if (filling_.contains(path)) {
      awaited.push_back({piece, path});
      continue;
    }
    const bool is_begun = spool_.make_way(piece, cut_.bytes_of(piece), assignment.attempt);
    const bool may_fill = !is_begun && basis.old && filled_.size() < basis.spare_pieces;
    if (may_fill && savings_.should_fill(basis.likeness)) {
      filled_.insert(piece);
      files.push_back({piece, path});
    } else if (!is_begun) {
      spool_.expect(piece, cut_.bytes_of(piece), assignment.attempt);
    }
  }
  if (files.empty() && awaited.empty()) return true;
  awaited.insert(awaited.end(), files.begin(), files.end());
  for (const auto& file : awaited) filling_.insert(file.path);
  if (!filler_) filler_ = std::make_unique<Workers>(1);
  filler_->submit(
      [files = std::move(files), old = basis.old, copied = copied_](const std::stop_token& stop) {
        std::vector<PieceNumber> unfilled;
        for (const auto& [piece, path] : files) {
          if (!try_to_fill(*old, piece, path, stop, copied.get())) unfilled.push_back(piece);
        }
        return unfilled;
      },
      [this, awaited = std::move(awaited),
       then = std::move(then)](const std::vector<PieceNumber>& unfilled) {
        for (const auto piece : unfilled) filled_.erase(piece);
        if (!unfilled.empty()) savings_.left();
        for (const auto& file : awaited) filling_.extract(file.path);
        if (then() == Pull::begins) return;
        for (const auto& [piece, path] : awaited) {
          if (filling_.contains(path)) continue;
          remove_file(path);
          filled_.erase(piece);
        }
      });
  return false;
}

void Prefill::arrived(const FileArrived& file) {
  const auto filled = std::find_if(filled_.begin(), filled_.end(), [&](PieceNumber piece) {
    return piece_name(piece) == file.name;
  });
  if (filled == filled_.end()) return;
  savings_.arrived(cut_.bytes_of(*filled), file.wire_bytes);
  filled_.erase(filled);
}

void Prefill::append_descriptors(std::vector<int>& descriptors) const {
  if (filler_) descriptors.push_back(filler_->descriptor());
}

std::string Prefill::work() const {
  if (!filler_ || filler_->pending() == 0) return {};
  return fmt::format("copying old bytes for {} pulls, {} so far", filler_->pending(),
                     shown_bytes(copied_->load()));
}

void Prefill::collect() {
  if (filler_) filler_->collect();
}

}  // namespace libsync
