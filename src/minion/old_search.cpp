#include "minion/old_search.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <utility>

#include "libsync/core/failure.h"
#include "libsync/core/served_modes.h"
#include "libsync/core/verdict.h"
#include "os/descriptor.h"
#include "os/files.h"
#include "os/workers.h"

namespace libsync {
namespace {

// If so many old ranges differ and none is equal, the host compares no more of them. In a payload
// of which half has changed, that is one run of 250. Pulls then move little: ./tests/bench/delta
constexpr unsigned kMostUnequal = 8;
// Calls of is_worth_waiting(). The pauses between them grow to a second (candidates.cpp), so these
// need 5 s. A payload that has nothing in common comes later by no more than that.
constexpr unsigned kMostWaits = 10;

// Makes a piece file of a range of the stream. True if that has the digest of the piece.
bool extract(const OldStream& stream, std::uint64_t offset, const StagedPiece& staged,
             std::uint64_t bytes, const Spool& spool, const std::stop_token& stop) {
  const auto path = spool.incoming_path(staged.piece);
  if (spool.make_way(staged.piece, bytes)) remove_file(path);
  {
    const auto file = open_file(path, O_RDWR | O_CREAT, kServedFileMode);
    if (ftruncate(file.number(), static_cast<off_t>(bytes)) != 0) {
      throw_disk_failure("set the size of", path);
    }
    if (!stream.copy(offset, bytes, file, 0, stop)) {
      remove_file(path);
      return false;
    }
  }
  return spool.accept(path, staged.piece, bytes, staged.digest, stop) == Verdict::good;
}

}  // namespace

OldSearch::OldSearch(Spool spool, Cut cut)
    : spool_(std::move(spool)), cut_(cut), held_(cut.pieces()) {}

OldSearch::~OldSearch() = default;

bool OldSearch::compared(bool is_equal) {
  if (is_equal) likeness_ = Likeness::shown;
  *is_enough_ = likeness_ == Likeness::unknown && ++unequal_ >= kMostUnequal;
  return *is_enough_;
}

void OldSearch::open(Location location) {
  location_ = std::move(location);
  is_open_ = true;
}

bool OldSearch::is_worth_waiting() { return ++waits_ < kMostWaits; }

void OldSearch::begin(std::vector<StagedPiece> pieces, std::function<void(Found)> then) {
  searcher_ = std::make_unique<Workers>(1);
  searcher_->submit(
      [location = location_, pieces = std::move(pieces), spool = spool_, cut = cut_,
       read = read_](const std::stop_token& stop) {
        Found found;
        std::vector<RollingSum> sums(cut.pieces(), 0);
        std::map<PieceNumber, const StagedPiece*> wanted;
        for (const auto& staged : pieces) {
          sums[staged.piece] = staged.sum;
          wanted.emplace(staged.piece, &staged);
        }
        try {
          found.stream = std::make_shared<const OldStream>(location, stop);
          for (const auto& [number, offset] : found.stream->find(cut, sums, stop, read.get())) {
            const auto piece = static_cast<PieceNumber>(number);
            if (found.pieces.contains(piece)) continue;
            if (extract(*found.stream, offset, *wanted.at(piece), cut.bytes_of(piece), spool,
                        stop)) {
              found.pieces.emplace(piece, offset);
            }
          }
        } catch (const Failure& failure) {
          // The pieces that are left come by pulls.
          spdlog::debug("the search in the old payload has ended: {}", failure.what());
        }
        return found;
      },
      [this, then = std::move(then)](Found found) {
        if (!found.pieces.empty()) likeness_ = Likeness::shown;
        then(std::move(found));
      });
}

std::vector<PieceNumber> OldSearch::close() {
  is_open_ = false;
  return std::exchange(held_, PieceSet(cut_.pieces())).members();
}

void OldSearch::append_descriptors(std::vector<int>& descriptors) const {
  if (searcher_) descriptors.push_back(searcher_->descriptor());
}

void OldSearch::collect() {
  if (searcher_) searcher_->collect();
}

}  // namespace libsync
