#pragma once

// The way of pieces from host to host: `--spread`.

namespace libsync {

enum class Spread {
  automatic,  ///< Trees for many hosts, claims for few.
  claims,     ///< Every pull is claimed.
  trees,      ///< Hosts pull along trees, and claim the pieces that do not come that way.
};

}  // namespace libsync
