#pragma once

// Addresses of hosts, as values that only strictly checked text can make.
//
// Text from Redis is hostile until it is checked. `127.2`, `0x7f000002` and `127.0.0.2:8731` all
// connect somewhere, and `127.0.0.2/repo/x#` changes the URL that rsync reads.
//
// So an Address is the canonical text of one unicast IPv4 or IPv6 address: inet_pton accepts it,
// and inet_ntop returns the very same text.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace libsync {

/// The address of a host. Immutable. Addresses are ordered by number, IPv4 before IPv6.
class Address {
 public:
  /// Nothing, unless `text` is canonical and unicast. Refused are 0.0.0.0/8, multicast, broadcast,
  /// `::`, IPv4 addresses mapped into IPv6, zones, ports, prefix lengths and spaces.
  [[nodiscard]] static std::optional<Address> parse(std::string_view text);

  [[nodiscard]] const std::string& text() const { return text_; }

  /// The text as the host of a URL: IPv6 in brackets.
  [[nodiscard]] std::string in_url() const;

  [[nodiscard]] bool is_loopback() const;

  /// In network byte order: 4 bytes, or 16 of IPv6. The address owns them.
  [[nodiscard]] std::span<const std::uint8_t> bytes() const {
    return std::span(bytes_).first(is_ipv6_ ? 16 : 4);
  }

  friend auto operator<=>(const Address&, const Address&) = default;

 private:
  friend class Network;

  Address() = default;

  // The order of these three is that of addresses.
  bool is_ipv6_ = false;
  std::array<std::uint8_t, 16> bytes_{};  // In network byte order. IPv4 uses the first four.
  std::string text_;
};

/// An address range in CIDR notation.
class Network {
 public:
  /// Accepts `10.0.0.0/8`, `fd00::/8`, or a plain address, which means itself alone. Nothing for
  /// any other text, or if host bits are set.
  [[nodiscard]] static std::optional<Network> parse(std::string_view text);

  [[nodiscard]] bool contains(const Address& address) const;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  bool is_ipv6_ = false;
  unsigned prefix_bits_ = 0;
};

/// The default of `--peers`: the private, loopback and link-local ranges (RFC 1918, 4193, 3927,
/// 6598).
[[nodiscard]] const std::vector<Network>& private_networks();

/// Whether one of the networks contains the address.
[[nodiscard]] bool is_within(const Address& address, const std::vector<Network>& networks);

}  // namespace libsync
