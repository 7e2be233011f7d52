#include "libsync/core/address.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace libsync {
namespace {

using namespace std::string_view_literals;

TEST(Address, AcceptsCanonicalUnicastText) {
  for (const auto text : {"1.0.0.0"sv,
                          "1.2.3.4"sv,
                          "10.0.0.1"sv,
                          "10.255.255.255"sv,
                          "127.0.0.1"sv,
                          "127.0.0.2"sv,
                          "172.16.0.1"sv,
                          "192.168.1.200"sv,
                          "169.254.1.1"sv,
                          "223.255.255.255"sv,
                          "8.8.8.8"sv,
                          "::1"sv,
                          "::2"sv,
                          "fd00::1"sv,
                          "fe80::1"sv,
                          "2001:db8::1"sv,
                          "2001:db8:1:2:3:4:5:6"sv,
                          "2001:db8:0:1::"sv,
                          "1:0:2::3"sv,
                          "feff::1"sv,
                          "a:b:c:d:e:f:1:2"sv,
                          "1111:2222:3333:4444:5555:6666:7777:8888"sv}) {
    const auto address = Address::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->text(), text);
    EXPECT_EQ(Address::parse(address->text()), address) << text;
  }
}

TEST(Address, RefusesEverythingElse) {
  for (const auto text :
       {// Other spellings that a program would connect to.
        "127.2"sv, "127.0.2"sv, "127"sv, "2130706434"sv, "0x7f000002"sv, "0x7f.0.0.2"sv,
        "0177.0.0.2"sv, "127.0.0.02"sv, "127.00.0.2"sv, "010.0.0.1"sv, "+127.0.0.2"sv,
        "127.0.0.2."sv, ".127.0.0.2"sv, "127..0.2"sv, "127.0.0.2.3"sv, "256.0.0.1"sv, "1.2.3.256"sv,
        "-1.2.3.4"sv, "1,2,3,4"sv, "localhost"sv, "host.example"sv, ""sv,
        // Additions to an address.
        "127.0.0.2:8731"sv, "127.0.0.2/repo/x#"sv, "127.0.0.2/32"sv, "127.0.0.2/"sv,
        "user@127.0.0.2"sv, "127.0.0.2#"sv, "127.0.0.2%lo"sv, "rsync://127.0.0.2"sv, "--daemon"sv,
        "*"sv, " 127.0.0.2"sv, "127.0.0.2 "sv, "127.0.0.2\n"sv, "\t127.0.0.2"sv, "127.0.0.2\r"sv,
        "127.0.0.2\0"sv, "127.0.0.2\0.x"sv, "\0"sv, "\xef\xbc\x91.2.3.4"sv, "127.0.0.2,127.0.0.3"sv,
        "127.0.0.2 127.0.0.3"sv,
        // IPv6 in another form, or with additions.
        "FD00::1"sv, "fd00::A"sv, "0:0:0:0:0:0:0:1"sv, "fd00:0:0:0:0:0:0:1"sv, "fd00::0001"sv,
        "2001:db8::0:1"sv, "::0001"sv, "fd00:::1"sv, "fd00::1::2"sv, "1:2:3:4:5:6:7"sv,
        "1:2:3:4:5:6:7:8:9"sv, "[::1]"sv, "[::1]:873"sv, "fe80::1%eth0"sv, "fe80::1%2"sv,
        "fd00::1/64"sv, "fd00::g"sv, "::12345"sv, ":"sv, ":::"sv, ":1"sv, "fd00::1 "sv,
        "1::2:0:0:0:3"sv, "::1\0"sv, "fd00::1.2.3.4"sv,
        // Not unicast.
        "0.0.0.0"sv, "0.0.0.1"sv, "0.255.255.255"sv, "224.0.0.1"sv, "239.255.255.250"sv,
        "240.0.0.1"sv, "255.255.255.255"sv, "::"sv, "ff02::1"sv, "ff00::"sv, "ff0e::1:2"sv,
        // IPv4 mapped into IPv6: a second name of a host, and a way round the rules above.
        "::ffff:1.2.3.4"sv, "::ffff:0.0.0.0"sv, "::ffff:224.0.0.1"sv, "::ffff:127.0.0.2"sv,
        "::ffff:7f00:2"sv, "::FFFF:1.2.3.4"sv}) {
    EXPECT_FALSE(Address::parse(text)) << "'" << text << "'";
  }
}

TEST(Address, RefusesTextOfAnyLength) {
  for (std::size_t length = 1; length < 100; ++length) {
    EXPECT_FALSE(Address::parse(std::string(length, '1')));
    EXPECT_FALSE(Address::parse(std::string(length, ':')));
    EXPECT_FALSE(Address::parse("1.2.3.400" + std::string(length, '0'))) << length;
  }
}

TEST(Address, HasBracketsInUrlsIfIpv6) {
  EXPECT_EQ(Address::parse("10.0.0.7").value().in_url(), "10.0.0.7");
  EXPECT_EQ(Address::parse("fd00::7").value().in_url(), "[fd00::7]");
}

TEST(Address, KnowsLoopback) {
  for (const auto* const text : {"127.0.0.1", "127.255.255.254", "::1"}) {
    EXPECT_TRUE(Address::parse(text).value().is_loopback()) << text;
  }
  for (const auto* const text : {"126.0.0.1", "128.0.0.1", "10.127.0.1", "::2", "7f00::1"}) {
    EXPECT_FALSE(Address::parse(text).value().is_loopback()) << text;
  }
}

TEST(Address, DiffersByFamilyAndText) {
  EXPECT_NE(Address::parse("1.0.0.0"), Address::parse("100::"));
  EXPECT_NE(Address::parse("10.0.0.1"), Address::parse("10.0.0.10"));
}

struct NetworkRow {
  std::string_view network;
  std::vector<std::string_view> inside;
  std::vector<std::string_view> outside;
};

TEST(Network, ContainsAddressesWithItsPrefix) {
  const std::vector<NetworkRow> rows = {
      {"10.0.0.0/8", {"10.0.0.0", "10.255.255.255"}, {"9.255.255.255", "11.0.0.0", "a00::"}},
      {"172.16.0.0/12", {"172.16.0.1", "172.31.255.255"}, {"172.15.255.255", "172.32.0.0"}},
      {"10.1.2.0/23", {"10.1.2.0", "10.1.3.255"}, {"10.1.1.255", "10.1.4.0"}},
      {"10.1.2.4/31", {"10.1.2.4", "10.1.2.5"}, {"10.1.2.3", "10.1.2.6"}},
      {"10.1.2.4/32", {"10.1.2.4"}, {"10.1.2.5", "10.1.2.3"}},
      {"10.1.2.4", {"10.1.2.4"}, {"10.1.2.5", "11.1.2.4", "a01:204::"}},
      {"128.0.0.0/1", {"128.0.0.1", "223.1.1.1"}, {"127.255.255.255", "8000::1"}},
      {"0.0.0.0/0", {"1.2.3.4", "223.255.255.255"}, {"::1", "fd00::1"}},
      {"fd00::/8", {"fd00::1", "fdff:ffff::1"}, {"fc00::1", "fe00::1"}},
      {"2001:db8::/33", {"2001:db8:7fff::1"}, {"2001:db8:8000::1", "2001:db9::1"}},
      {"fd00::4/127", {"fd00::4", "fd00::5"}, {"fd00::3", "fd00::6"}},
      {"::1", {"::1"}, {"::2", "127.0.0.1"}},
      {"::/0", {"::1", "fd00::1"}, {"10.0.0.1"}},
  };
  for (const auto& [text, inside, outside] : rows) {
    const auto network = Network::parse(text);
    ASSERT_TRUE(network) << text;
    for (const auto address : inside) {
      EXPECT_TRUE(network->contains(Address::parse(address).value())) << text << " " << address;
    }
    for (const auto address : outside) {
      EXPECT_FALSE(network->contains(Address::parse(address).value())) << text << " " << address;
    }
  }
}

TEST(Network, RefusesHostBitsAndBadPrefixes) {
  for (const auto text : {"10.0.0.1/8"sv,
                          "10.1.2.1/31"sv,
                          "172.16.0.0/11"sv,
                          "10.0.0.0/33"sv,
                          "10.0.0.0/"sv,
                          "10.0.0.0/-1"sv,
                          "10.0.0.0/+8"sv,
                          "10.0.0.0/ 8"sv,
                          "10.0.0.0/8 "sv,
                          "10.0.0.0/8/8"sv,
                          "10.0.0.0/0x8"sv,
                          "10.0.0.0/255.0.0.0"sv,
                          "10.0.0.0/4294967304"sv,
                          "10/8"sv,
                          "10.0.0/8"sv,
                          "/8"sv,
                          "/"sv,
                          ""sv,
                          "fd00::1/64"sv,
                          "fd00::/129"sv,
                          "FD00::/8"sv,
                          "fd00::/8%lo"sv,
                          "any"sv,
                          "10.0.0.0/0"sv}) {
    EXPECT_FALSE(Network::parse(text)) << "'" << text << "'";
  }
}

TEST(PrivateNetworks, HoldTheRangesOfTheRfcsToTheBit) {
  for (const auto* const text :
       {"10.0.0.1", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.1",
        "192.168.255.255", "127.0.0.1", "127.255.255.255", "169.254.0.1", "169.254.255.255",
        "100.64.0.0", "100.127.255.255", "::1", "fc00::1", "fdff::1", "fe80::1", "febf::1"}) {
    EXPECT_TRUE(is_within(Address::parse(text).value(), private_networks())) << text;
  }
  for (const auto* const text :
       {"9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255",
        "192.169.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0",
        "100.63.255.255", "100.128.0.0", "8.8.8.8", "::2", "fbff::1", "fe7f::1", "fec0::1",
        "2001:db8::1"}) {
    EXPECT_FALSE(is_within(Address::parse(text).value(), private_networks())) << text;
  }
  EXPECT_FALSE(is_within(Address::parse("10.0.0.1").value(), {}));
}

TEST(Address, AcceptedBytesAreTheTextItself) {
  // Texts near an address. An accepted one must parse to the very same text again.
  std::mt19937 random(1);  // NOLINT(cert-msc*): the same texts every time.
  const std::string alphabet = "0123456789abcdef.:/x ";
  int accepted = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text = i % 2 == 0 ? "10.20.30.4" : "fd00::12";
    for (int changes = static_cast<int>(random() % 3); changes >= 0; --changes) {
      text[random() % text.size()] = alphabet[random() % alphabet.size()];
    }
    const auto parsed = Address::parse(text);
    if (!parsed) continue;
    ++accepted;
    ASSERT_EQ(parsed->text(), text);
    ASSERT_EQ(text.find_first_of("/x "), std::string::npos) << text;
  }
  EXPECT_GT(accepted, 1000);
}

TEST(Network, AgreesWithBitwiseComparison) {
  std::mt19937 random(2);  // NOLINT(cert-msc*): the same ranges every time.
  for (int i = 0; i < 20'000; ++i) {
    const auto bits = static_cast<unsigned>(random() % 33);
    const std::uint32_t mask = bits == 0 ? 0 : ~std::uint32_t{0} << (32 - bits);
    const auto text = [](std::uint32_t value) {
      return std::to_string(value >> 24U) + "." + std::to_string(value >> 16U & 255U) + "." +
             std::to_string(value >> 8U & 255U) + "." + std::to_string(value & 255U);
    };
    const auto base = static_cast<std::uint32_t>(random()) & mask;
    // Most times a neighbour that differs in one bit.
    const auto other = (base | (static_cast<std::uint32_t>(random()) & ~mask)) ^
                       (random() % 2 == 0 ? 1U << random() % 32 : 0U);
    const auto host = Address::parse(text(other));
    if (!host) continue;
    const auto range = Network::parse(text(base) + "/" + std::to_string(bits)).value();
    ASSERT_EQ(range.contains(*host), (other & mask) == base)
        << text(base) << "/" << bits << " " << text(other);
  }
}

}  // namespace
}  // namespace libsync
