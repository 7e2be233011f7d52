#include "os/random.h"

#include <sys/random.h>

#include <cerrno>

#include "libsync/core/failure.h"

namespace libsync {

void fill_random(std::span<std::uint8_t> bytes) {
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const auto got = getrandom(bytes.data() + filled, bytes.size() - filled, 0);
    if (got >= 0) {
      filled += static_cast<std::size_t>(got);
    } else if (errno != EINTR) {
      throw Failure(ExitStatus::local, Remedy::operator_acts,
                    "the kernel gives no random numbers (getrandom)");
    }
  }
}

}  // namespace libsync
