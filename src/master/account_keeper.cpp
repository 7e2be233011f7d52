#include "master/account_keeper.h"

#include "libsync/core/failure.h"

namespace libsync {

std::optional<std::string> AccountKeeper::keep() {
  if (!is_due_) return std::nullopt;
  is_due_ = false;
  try {
    if (const auto account = coordinator_.last_account()) files_.write(*account);
  } catch (const Failure& failure) {
    is_due_ = failure.is_outage();
    if (!is_due_) return failure.what();
  }
  return std::nullopt;
}

}  // namespace libsync
