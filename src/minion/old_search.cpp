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
// need nothing, 2 and 5 s. A payload that has nothing in common comes later by no more than that,
// and the next one of its family at once.
unsigned most_waits(Kinship kinship) {
  switch (kinship) {
    case Kinship::unlike:
      return 1;
    case Kinship::unknown:
      return 7;
    case Kinship::alike:
      break;
  }
  return 10;
}
// Full checks of a piece, the comparison at its own offset included. A hostile master announces
// equal sums for all pieces; the host then hashes twice the bytes of the payload. A guard.
constexpr unsigned kMostChecks = 2;

// Copies a range of the stream into a new file of incoming/. False if there is no such range.
bool copy_to(const std::filesystem::path& path, const OldStream& stream, std::uint64_t offset,
             std::uint64_t bytes, const std::stop_token& stop) {
  const auto file = open_file(path, O_RDWR | O_CREAT, kServedFileMode);
  if (ftruncate(file.number(), static_cast<off_t>(bytes)) != 0) {
    throw_disk_failure("set the size of", path);
  }
  return stream.copy(offset, bytes, file, 0, stop);
}

// Makes a piece file of a range of the stream. True if that has the digest of the piece. Otherwise
// it leaves no file: half a piece would need room that the pulls have to have.
bool extract(const OldStream& stream, std::uint64_t offset, const StagedPiece& staged,
             std::uint64_t bytes, const Spool& spool, const std::stop_token& stop) {
  const auto path = spool.incoming_path(staged.piece);
  if (spool.make_way(staged.piece, bytes)) remove_file(path);
  try {
    if (copy_to(path, stream, offset, bytes, stop) &&
        spool.accept(path, staged.piece, bytes, staged.digest, stop) == Verdict::good) {
      return true;
    }
  } catch (const Failure&) {
    unlink(path.c_str());
    throw;
  }
  remove_file(path);
  return false;
}

struct Wanted {
  StagedPiece staged;
  unsigned checks_left;
};

}  // namespace

OldSearch::OldSearch(Spool spool, Cut cut)
    : spool_(std::move(spool)), cut_(cut), compared_(cut.pieces()), held_(cut.pieces()) {}

OldSearch::~OldSearch() = default;

bool OldSearch::compared(PieceNumber piece, bool is_equal) {
  compared_.insert(piece);
  if (is_equal) likeness_ = Likeness::shown;
  *is_enough_ = likeness_ == Likeness::unknown && ++unequal_ >= kMostUnequal;
  return *is_enough_;
}

void OldSearch::open(std::vector<Location> locations, Kinship kinship) {
  locations_ = std::move(locations);
  kinship_ = kinship;
  is_open_ = true;
}

bool OldSearch::is_worth_waiting() { return ++waits_ < most_waits(kinship_); }

void OldSearch::begin(std::vector<StagedPiece> pieces, std::function<void(Found)> then) {
  searcher_ = std::make_unique<Workers>(1);
  searcher_->submit(
      [locations = locations_, pieces = std::move(pieces), spool = spool_, cut = cut_,
       compared = compared_, read = read_](const std::stop_token& stop) {
        Found found;
        std::vector<RollingSum> sums(cut.pieces(), 0);
        std::map<PieceNumber, Wanted> wanted;
        for (const auto& staged : pieces) {
          sums[staged.piece] = staged.sum;
          const unsigned spent = compared.contains(staged.piece) ? 1 : 0;
          wanted.emplace(staged.piece, Wanted{staged, kMostChecks - spent});
        }
        try {
          found.stream = std::make_shared<const OldStream>(locations, stop);
          for (const auto& [number, offset] : found.stream->find(cut, sums, stop, read.get())) {
            const auto piece = static_cast<PieceNumber>(number);
            auto& [staged, checks_left] = wanted.at(piece);
            if (found.pieces.contains(piece) || checks_left == 0) continue;
            --checks_left;
            ++found.checks;
            found.checked_bytes += cut.bytes_of(piece);
            if (extract(*found.stream, offset, staged, cut.bytes_of(piece), spool, stop)) {
              found.pieces.emplace(piece, offset);
            }
          }
        } catch (const Failure& failure) {
          // The pieces that are left come by pulls.
          spdlog::debug("the search in old payloads has ended: {}", failure.what());
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
