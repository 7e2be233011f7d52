#include "libsync/core/host_ranges.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "libsync/core/address.h"

namespace libsync {
namespace {

// The 16 bits of an IPv6 address that begin with a byte.
unsigned number_at(const Address& host, std::size_t byte) {
  const auto bytes = host.bytes();
  return (unsigned{bytes[byte]} << 8U) | bytes[byte + 1];
}

// The last number of an address: 8 bits of IPv4, or 16 of IPv6.
unsigned last_number(const Address& host) {
  const auto bytes = host.bytes();
  return bytes.size() == 4 ? bytes[3] : number_at(host, 14);
}

// Whether two addresses differ in their last number at most.
bool are_neighbours(const Address& left, const Address& right) {
  const auto one = left.bytes();
  const auto other = right.bytes();
  if (one.size() != other.size()) return false;
  const auto last = one.size() == 4 ? 1 : 2;
  return std::equal(one.begin(), one.end() - last, other.begin());
}

std::string number_text(const Address& host, unsigned number) {
  return host.bytes().size() == 4 ? fmt::format("{}", number) : fmt::format("{:x}", number);
}

// A range of consecutive numbers.
struct Range {
  unsigned first;
  unsigned last;
};

// Writes words into a text until as many numbers and ranges are in it as it may have.
class Words {
 public:
  explicit Words(std::size_t most) : left_(most) {}

  // Adds hosts that differ in their last number alone. They are in order.
  void add(const std::vector<Address>& hosts) {
    std::vector<Range> ranges;
    for (const auto& host : hosts) {
      const auto number = last_number(host);
      if (!ranges.empty() && ranges.back().last + 1 == number) {
        ranges.back().last = number;
      } else if (ranges.size() < left_) {
        ranges.push_back({number, number});
      } else {
        ++left_out_;
      }
    }
    if (ranges.empty()) return;
    left_ -= ranges.size();
    const auto& host = hosts.front();
    std::string numbers;
    for (const auto& [first, last] : ranges) {
      if (!numbers.empty()) numbers += ',';
      numbers += number_text(host, first);
      if (last > first) numbers += "-" + number_text(host, last);
    }
    const bool is_one = ranges.size() == 1 && ranges.front().first == ranges.front().last;
    add_word(is_one ? host.text() : prefix_of(host) + "[" + numbers + "]");
  }

  void add(const std::string& name) {
    if (left_ == 0) {
      ++left_out_;
      return;
    }
    --left_;
    add_word(name);
  }

  [[nodiscard]] std::string text() const {
    return left_out_ == 0 ? text_ : fmt::format("{} and {} more", text_, left_out_);
  }

 private:
  // The address without its last number. `fd00::` ends with a number that its text does not show.
  // The end of `::1.2.3.4` is an IPv4 address, which is the same as `::102:304`.
  static std::string prefix_of(const Address& host) {
    const auto& text = host.text();
    if (host.bytes().size() == 16 && text.find('.') != std::string::npos) {
      const auto colon = text.rfind(':');
      return fmt::format("{}{:x}:", text.substr(0, colon + 1), number_at(host, 12));
    }
    return text.substr(0, text.find_last_of(".:") + 1);
  }

  void add_word(const std::string& word) {
    if (!text_.empty()) text_ += ' ';
    text_ += word;
  }

  std::string text_;
  std::size_t left_;
  std::size_t left_out_ = 0;
};

}  // namespace

std::string host_ranges(const std::vector<std::string>& hosts, std::size_t most) {
  std::set<Address> addresses;
  std::set<std::string> others;
  for (const auto& host : hosts) {
    if (auto address = Address::parse(host)) {
      addresses.insert(*std::move(address));
    } else {
      others.insert(host);
    }
  }
  Words words(most);
  std::vector<Address> neighbours;
  for (const auto& address : addresses) {
    if (!neighbours.empty() && !are_neighbours(neighbours.front(), address)) {
      words.add(neighbours);
      neighbours.clear();
    }
    neighbours.push_back(address);
  }
  words.add(neighbours);
  for (const auto& other : others) words.add(other);
  return words.text();
}

}  // namespace libsync
