#include "minion/local_work.h"

#include <fmt/format.h>

#include <algorithm>

#include "libsync/core/shown_number.h"

namespace libsync {

void LocalWork::restart() {
  copied_ = complete_ = 0;
  compared_ = in_place_ = copied_now_ = hashed_now_ = 0;
}

void LocalWork::end_piece(std::uint64_t bytes) {
  begin_piece();
  in_place_ += bytes;
}

std::string LocalWork::text() const {
  const auto files = shown_count(files_);
  switch (phase_.load()) {
    case Phase::none:
      return {};
    case Phase::listing:
      return fmt::format("listing the old payload, {} entries so far", shown_count(listed_));
    case Phase::comparing:
      return fmt::format("comparing the old payload, {} of {}",
                         shown_bytes(std::min(compared_.load(), bytes_)), shown_bytes(bytes_));
    case Phase::making:
      return fmt::format("making the folders for {} files", files);
    case Phase::assembling:
      return assembling_text();
    case Phase::syncing:
      return fmt::format("waiting for the disk to write {} files", files);
    case Phase::publishing:
      break;
  }
  return fmt::format("publishing {} files", files);
}

std::string LocalWork::assembling_text() const {
  // All files of a piece are copied before the first one of them is complete.
  const bool is_copying = copied_ < files_;
  const auto text =
      fmt::format("{} {} of {} files", is_copying ? "assembling" : "completing",
                  shown_count(is_copying ? copied_.load() : std::min(complete_.load(), files_)),
                  shown_count(files_));
  const auto hashed = std::min(in_place_ + hashed_now_, bytes_);
  if (hashed == bytes_) return text;
  return fmt::format("{}, copied {} and hashed {} of {}", text,
                     shown_bytes(std::min(in_place_ + copied_now_, bytes_)), shown_bytes(hashed),
                     shown_bytes(bytes_));
}

}  // namespace libsync
