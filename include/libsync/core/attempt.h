#pragma once

namespace libsync {

/// Whether another pull of this host has the same piece in flight. Each attempt has a folder of its
/// own in the spool.
enum class Attempt { first, second };

/// Second attempts of a host at a time. More of them would share its link.
inline constexpr unsigned kSecondAttempts = 2;

}  // namespace libsync
