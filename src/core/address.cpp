#include "libsync/core/address.h"

#include <arpa/inet.h>

#include <algorithm>

#include "libsync/core/number.h"

namespace libsync {
namespace {

using Bytes = std::array<std::uint8_t, 16>;

struct Parsed {
  Bytes bytes{};
  bool is_ipv6 = false;
};

// Nothing, unless inet_ntop would print this very text for the address.
std::optional<Parsed> parse_canonical(std::string_view text) {
  if (text.empty() || text.size() >= INET6_ADDRSTRLEN) return std::nullopt;
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  Parsed parsed;
  parsed.is_ipv6 = terminated.find(':') != std::string::npos;
  const int family = parsed.is_ipv6 ? AF_INET6 : AF_INET;
  if (inet_pton(family, terminated.c_str(), parsed.bytes.data()) != 1) return std::nullopt;
  std::array<char, INET6_ADDRSTRLEN> canonical{};
  if (inet_ntop(family, parsed.bytes.data(), canonical.data(), canonical.size()) == nullptr ||
      terminated != canonical.data()) {
    return std::nullopt;
  }
  return parsed;
}

bool is_unicast(const Parsed& parsed) {
  const Bytes& b = parsed.bytes;
  if (parsed.is_ipv6) {
    const bool unspecified = std::all_of(b.begin(), b.end(), [](auto byte) { return byte == 0; });
    // ::ffff:1.2.3.4 is a second name of 1.2.3.4, and would bypass the rules for IPv4 below.
    constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    const bool is_ipv4 = std::equal(kMapped.begin(), kMapped.end(), b.begin());
    return !unspecified && !is_ipv4 && b[0] != 0xff;
  }
  // 0.0.0.0/8 is "this network"; 224.0.0.0 and above are multicast, reserved and broadcast.
  return b[0] != 0 && b[0] < 224;
}

}  // namespace

std::optional<Address> Address::parse(std::string_view text) {
  const auto parsed = parse_canonical(text);
  if (!parsed || !is_unicast(*parsed)) return std::nullopt;
  Address address;
  address.text_ = text;
  address.bytes_ = parsed->bytes;
  address.is_ipv6_ = parsed->is_ipv6;
  return address;
}

std::string Address::in_url() const { return is_ipv6_ ? "[" + text_ + "]" : text_; }

bool Address::is_loopback() const { return is_ipv6_ ? text_ == "::1" : bytes_[0] == 127; }

std::optional<Network> Network::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto parsed = parse_canonical(text.substr(0, slash));
  if (!parsed) return std::nullopt;
  Network network;
  network.bytes_ = parsed->bytes;
  network.is_ipv6_ = parsed->is_ipv6;
  const unsigned all_bits = parsed->is_ipv6 ? 128 : 32;
  network.prefix_bits_ = all_bits;
  if (slash != std::string_view::npos) {
    const auto bits = parse_number<unsigned>(text.substr(slash + 1));
    if (!bits || *bits > all_bits) return std::nullopt;
    network.prefix_bits_ = *bits;
  }
  for (unsigned bit = network.prefix_bits_; bit < all_bits; ++bit) {
    if (((unsigned{network.bytes_[bit / 8]} >> (7 - bit % 8)) & 1U) != 0) return std::nullopt;
  }
  return network;
}

bool Network::contains(const Address& address) const {
  if (address.is_ipv6_ != is_ipv6_) return false;
  const unsigned whole = prefix_bits_ / 8;
  if (!std::equal(bytes_.begin(), bytes_.begin() + whole, address.bytes_.begin())) return false;
  const unsigned rest = prefix_bits_ % 8;
  return rest == 0 || (bytes_[whole] >> (8 - rest)) == (address.bytes_[whole] >> (8 - rest));
}

const std::vector<Network>& private_networks() {
  static const std::vector<Network> networks = [] {
    std::vector<Network> all;
    for (const auto* text : {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8",
                             "169.254.0.0/16", "100.64.0.0/10", "::1", "fc00::/7", "fe80::/10"}) {
      all.push_back(Network::parse(text).value());
    }
    return all;
  }();
  return networks;
}

bool is_within(const Address& address, const std::vector<Network>& networks) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const Network& network) { return network.contains(address); });
}

}  // namespace libsync
