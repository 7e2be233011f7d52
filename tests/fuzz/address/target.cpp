// Addresses and ranges. The input is a range, and addresses in further lines.

#include "target.h"

#include <arpa/inet.h>

#include <array>

#include "libsync/core/address.h"

namespace libsync::fuzz {
namespace {

struct Bits {
  std::array<std::uint8_t, 16> bytes{};
  int family = AF_INET;

  [[nodiscard]] unsigned size() const { return family == AF_INET6 ? 128 : 32; }
  [[nodiscard]] bool at(unsigned bit) const { return (bytes[bit / 8] >> (7 - bit % 8) & 1) != 0; }
  void clear(unsigned bit) {
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] & ~(1U << (7 - bit % 8)));
  }
  [[nodiscard]] std::string text() const {
    std::array<char, INET6_ADDRSTRLEN> written{};
    require(inet_ntop(family, bytes.data(), written.data(), written.size()) != nullptr, "text");
    return written.data();
  }
};

Bits bits_of(std::string_view text) {
  const std::string terminated(text);
  Bits bits;
  if (text.find(':') != std::string_view::npos) bits.family = AF_INET6;
  require(inet_pton(bits.family, terminated.c_str(), bits.bytes.data()) == 1,
          "the C library accepts the address");
  return bits;
}

void check_address(const Address& address, std::string_view text) {
  require(address.text() == text, "an address is its text");
  require(text.find_first_not_of("0123456789abcdef.:") == std::string_view::npos,
          "an address has nothing that changes a URL");
  const auto bits = bits_of(text);
  require(bits.text() == text, "an address is canonical");
  const bool is_ipv6 = bits.family == AF_INET6;
  require(address.in_url() == (is_ipv6 ? "[" + address.text() + "]" : address.text()), "URL");
  const auto first = bits.bytes[0];
  require(is_ipv6 ? first != 0xff : first != 0 && first < 224, "an address is unicast");
  require(!is_ipv6 || !text.starts_with("::ffff:") || text.find('.') == std::string_view::npos,
          "IPv4 has one name");
  require(Address::parse(address.text()) == address, "an address survives its text");
  const auto alone = Network::parse(text);
  require(alone.has_value() && alone->contains(address), "an address is a range of itself");
}

// The range of the first `size` bits of the address, written as its operator would.
void check_range_of(const Address& address, unsigned size) {
  auto bits = bits_of(address.text());
  size %= bits.size() + 1;
  for (unsigned bit = size; bit < bits.size(); ++bit) bits.clear(bit);
  const auto range = Network::parse(bits.text() + "/" + std::to_string(size));
  require(range.has_value() && range->contains(address), "a range holds what it was made from");
}

void check_range(const Network& range, std::string_view text, const Address& address) {
  const auto slash = text.find('/');
  const auto base = bits_of(text.substr(0, slash));
  const auto other = bits_of(address.text());
  bool is_inside = base.family == other.family;
  const auto size = slash == std::string_view::npos
                        ? base.size()
                        : static_cast<unsigned>(std::stoul(std::string(text.substr(slash + 1))));
  require(size <= base.size(), "a prefix has no more bits than an address");
  for (unsigned bit = 0; bit < base.size(); ++bit) {
    if (bit >= size) require(!base.at(bit), "the bits of hosts are zero");
    if (bit < size && is_inside) is_inside = base.at(bit) == other.at(bit);
  }
  require(range.contains(address) == is_inside, "a range compares its prefix, bit by bit");
}

}  // namespace

void check(std::string_view input) {
  const auto lines = lines_of(input);
  if (lines.empty()) return;
  const auto range = Network::parse(lines.front());
  for (const auto line : lines) {
    const auto address = Address::parse(line);
    if (!address) continue;
    check_address(*address, line);
    check_range_of(*address, static_cast<unsigned>(input.size() * 7));
    if (range) check_range(*range, lines.front(), *address);
    require(is_within(*address, private_networks()) || !address->is_loopback(),
            "loopback is private");
  }
  if (range) check_range(*range, lines.front(), Address::parse("10.1.2.3").value());
}

}  // namespace libsync::fuzz
