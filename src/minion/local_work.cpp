#include "minion/local_work.h"

#include <fmt/format.h>

#include <algorithm>

namespace libsync {
namespace {

// 100,000
std::string grouped(std::size_t number) {
  auto text = std::to_string(number);
  for (auto at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

}  // namespace

std::string LocalWork::text() const {
  switch (phase_.load()) {
    case Phase::none:
      return {};
    case Phase::reading:
      return fmt::format("comparing {} published files", grouped(files_));
    case Phase::making:
      return fmt::format("making the folders for {} files", grouped(files_));
    case Phase::assembling:
      // All files of a piece are copied before the first one of them is complete.
      if (copied_ < files_) {
        return fmt::format("assembling {} of {} files", grouped(copied_), grouped(files_));
      }
      return fmt::format("completing {} of {} files", grouped(std::min(complete_.load(), files_)),
                         grouped(files_));
    case Phase::syncing:
      break;
  }
  return fmt::format("waiting for the disk to write {} files", grouped(files_));
}

}  // namespace libsync
