#pragma once

// Addresses of hosts, as values that can only be made from strictly checked text.
//
// What Redis holds is hostile until checked: `127.2`, `0x7f000002` and `127.0.0.2:8731` all connect
// somewhere, `127.0.0.2/repo/x#` changes what rsync reads. An Address is therefore the canonical
// text of one unicast IPv4 or IPv6 address and nothing else: inet_pton accepts it, and inet_ntop
// gives back the very same text.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace libsync {

class Address {
 public:
  /// Nothing, unless `text` is canonical and unicast (not 0.0.0.0, multicast, broadcast or `::`; no
  /// IPv4 address mapped into IPv6; no zone, port, prefix length or space).
  [[nodiscard]] static std::optional<Address> parse(std::string_view text);

  [[nodiscard]] const std::string& text() const { return text_; }

  /// As the host of a URL: IPv6 in brackets.
  [[nodiscard]] std::string in_url() const;

  [[nodiscard]] bool is_loopback() const;

  friend auto operator<=>(const Address&, const Address&) = default;

 private:
  friend class Network;

  Address() = default;

  std::string text_;
  // Network byte order; IPv4 occupies the first four.
  std::array<std::uint8_t, 16> bytes_{};
  bool is_ipv6_ = false;
};

/// An address range in CIDR notation.
class Network {
 public:
  /// `10.0.0.0/8`, `fd00::/8`, or a plain address, which stands for itself alone. Nothing if the
  /// text is anything else, or if host bits are set.
  [[nodiscard]] static std::optional<Network> parse(std::string_view text);

  [[nodiscard]] bool contains(const Address& address) const;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  bool is_ipv6_ = false;
  unsigned prefix_bits_ = 0;
};

/// The private, loopback and link-local ranges (RFC 1918, 4193, 3927, 6598): the default of
/// `--peers`.
[[nodiscard]] const std::vector<Network>& private_networks();

[[nodiscard]] bool is_within(const Address& address, const std::vector<Network>& networks);

}  // namespace libsync
