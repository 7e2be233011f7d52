#pragma once

// The picture of a run that has ended, as one self-contained SVG without script and link.
//
// Above: the hosts that had the payload at each time, beside the ideal curve of run_bound.h. Below:
// a bar a host, the slowest first. The slowest hosts have rows with names; in a large run all
// others have rows of a pixel, and several hosts share one.

#include <string>
#include <vector>

#include "libsync/core/run_account.h"
#include "libsync/core/time.h"

namespace libsync {

/// A part of a host's bar.
enum class BarPart {
  waiting,  ///< For its tick, then for the first byte.
  pulling,
  verifying,  ///< The last pieces, and placing them.
  publishing,
  failed,     ///< From its last known time to the end of the run.
  not_known,  ///< It published, and gave no account.
};

struct BarSpan {
  BarPart part;
  Duration from;
  Duration to;

  friend bool operator==(const BarSpan&, const BarSpan&) = default;
};

/// The bar of a host: from the begin of the run, without gaps, within the run, and no empty parts.
[[nodiscard]] std::vector<BarSpan> bar_of(const HostAccount& host, Duration took);

/// The picture, as an SVG file.
[[nodiscard]] std::string run_svg(const RunAccount& account);

}  // namespace libsync
