#include "libsync/core/run_account.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "libsync/core/number.h"

namespace libsync {
namespace {

constexpr std::string_view kFirstLine = "sync-fanout account 1";
constexpr std::string_view kLastLine = "end";
constexpr char kNothing = '-';
// Longest text of a field. A path has at most 4096 bytes, and errors are shorter.
constexpr std::size_t kTextBytes = 4096;
// A span is shorter than this: 1,000 years.
constexpr std::int64_t kLongest = 31'536'000'000'000;

// Free text as one word, without the bytes that part words and lines. Empty text is `-`.
std::string word_of(std::string_view text) {
  if (text.empty()) return std::string(1, kNothing);
  std::string word;
  for (const char byte : text.substr(0, kTextBytes)) {
    const auto value = static_cast<unsigned char>(byte);
    const bool is_alone = byte == kNothing && text.size() == 1;
    if (value <= 0x20 || value >= 0x7f || byte == '%' || is_alone) {
      word += fmt::format("%{:02x}", value);
    } else {
      word += byte;
    }
  }
  return word;
}

std::optional<std::string> text_of(std::string_view word) {
  if (word.size() == 1 && word.front() == kNothing) return "";
  std::string text;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] != '%') {
      text += word[i];
      continue;
    }
    const auto value = parse_number<unsigned>(word.substr(i + 1, 2), 16);
    if (i + 2 >= word.size() || !value) return std::nullopt;
    text += static_cast<char>(*value);
    i += 2;
  }
  // Any text has one form alone.
  if (word_of(text) != word) return std::nullopt;
  return text;
}

std::string word_of(const std::optional<Duration>& span) {
  return span ? fmt::format("{}", span->count()) : std::string(1, kNothing);
}

// Reads the words of a line one after the other. After a word that is not as it must be, `is_right`
// is false, and all later words are empty.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  [[nodiscard]] bool is_right() const { return is_right_; }
  [[nodiscard]] bool is_over() const { return is_over_; }

  std::string_view word() {
    if (is_over_) is_right_ = false;
    if (!is_right_) return {};
    const auto space = rest_.find(' ');
    const auto word = rest_.substr(0, space);
    is_over_ = space == std::string_view::npos;
    rest_ = is_over_ ? std::string_view() : rest_.substr(space + 1);
    if (word.empty()) is_right_ = false;
    return word;
  }

  template <typename Number>
  void number(Number& value) {
    check(read_number(word(), value));
  }

  void flag(bool& value) {
    const auto text = word();
    check(text == "0" || text == "1");
    value = text == "1";
  }

  void span(std::optional<Duration>& value) {
    const auto text = word();
    if (text.size() == 1 && text.front() == kNothing) return;
    const auto count = parse_number<std::int64_t>(text);
    check(count && *count >= 0 && *count < kLongest);
    if (is_right_) value = Duration(*count);
  }

  void text(std::string& value) {
    auto read = text_of(word());
    check(read.has_value());
    if (is_right_) value = *std::move(read);
  }

  void check(bool condition) { is_right_ = is_right_ && condition; }

 private:
  std::string_view rest_;
  bool is_right_ = true;
  bool is_over_ = false;
};

std::string words_of(const Pulls& pulls) {
  return fmt::format("{} {} {} {} {}", pulls.wire_bytes, pulls.pieces, pulls.failed, pulls.twice,
                     pulls.bytes_per_second);
}

void read(Words& words, Pulls& pulls) {
  words.number(pulls.wire_bytes);
  words.number(pulls.pieces);
  words.number(pulls.failed);
  words.number(pulls.twice);
  words.number(pulls.bytes_per_second);
}

std::string line_of(const HostAccount& host) {
  auto shares = encode(host.shares);
  if (shares.empty()) shares = kNothing;
  return fmt::format("host {} {:d} {:d} {:d} {} {} {} {} {} {} {} {} {} {}\n", host.address.text(),
                     host.is_expected, host.has_come, host.has_account, host.placed,
                     word_of(host.joined), word_of(host.first_byte), word_of(host.last_byte),
                     word_of(host.in_place), word_of(host.published), words_of(host.pulls), shares,
                     word_of(host.error), word_of(host.reason));
}

bool read_host(Words& words, RunAccount& account) {
  auto address = Address::parse(words.word());
  if (!address) return false;
  // A master writes them sorted, and so no host twice.
  if (!account.hosts.empty() && account.hosts.back().address >= *address) return false;
  HostAccount host{.address = *std::move(address)};
  words.flag(host.is_expected);
  words.flag(host.has_come);
  words.flag(host.has_account);
  words.number(host.placed);
  words.check(host.placed <= kMaxPieces);
  for (auto* const span :
       {&host.joined, &host.first_byte, &host.last_byte, &host.in_place, &host.published}) {
    words.span(*span);
  }
  read(words, host.pulls);
  host.shares = decode_shares(words.word());
  words.text(host.error);
  words.text(host.reason);
  account.hosts.push_back(std::move(host));
  return true;
}

std::string head_of(const RunAccount& account, std::size_t left_out) {
  return fmt::format(
      "{}\nrun {}\nended {} {} {}\npayload {} {}\ntimes {} {}\nhosts {} {} {}\nspread {:d} {}\n"
      "total {} {}\n",
      kFirstLine, account.run.text(), word_of(account.path), word_of(account.outcome),
      word_of(account.reason), account.cut.stream_bytes, account.cut.piece_bytes, account.begun_ms,
      account.took.count(), account.finished, account.expected, left_out, account.has_trees,
      account.origin ? account.origin->text() : std::string(1, kNothing), account.accounts,
      words_of(account.total));
}

void read_run(Words& words, RunAccount& account) {
  const auto run = RunId::parse(words.word());
  words.check(run.has_value());
  if (run) account.run = *run;
}

void read_payload(Words& words, Cut& cut) {
  words.number(cut.stream_bytes);
  words.number(cut.piece_bytes);
  words.check(is_allowed(cut));
}

void read_spread(Words& words, RunAccount& account) {
  words.flag(account.has_trees);
  const auto text = words.word();
  if (text.size() == 1 && text.front() == kNothing) return;
  account.origin = Address::parse(text);
  words.check(account.origin.has_value());
}

// The lines of the head in their order, each with the reader of its words.
struct Line {
  std::string_view key;
  void (*read)(Words& words, RunAccount& account);
};
constexpr Line kHead[] = {
    {"run", read_run},
    {"ended",
     [](Words& words, RunAccount& account) {
       words.text(account.path);
       words.text(account.outcome);
       words.text(account.reason);
     }},
    {"payload", [](Words& words, RunAccount& account) { read_payload(words, account.cut); }},
    {"times",
     [](Words& words, RunAccount& account) {
       std::optional<Duration> took;
       words.number(account.begun_ms);
       words.span(took);
       words.check(took.has_value());
       account.took = took.value_or(Duration(0));
     }},
    {"hosts",
     [](Words& words, RunAccount& account) {
       words.number(account.finished);
       words.number(account.expected);
       words.number(account.left_out);
     }},
    {"spread", read_spread},
    {"total",
     [](Words& words, RunAccount& account) {
       words.number(account.accounts);
       read(words, account.total);
     }},
};

// The next line of `text` without its end; nothing at the end of the text, or if the line has none.
std::optional<std::string_view> next_line(std::string_view& text) {
  const auto end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const auto line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

}  // namespace

std::string encode(const std::vector<Share>& shares) {
  std::string text;
  for (const auto& [source, pieces] : shares) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", source.text(), pieces);
  }
  return text;
}

std::vector<Share> decode_shares(std::string_view text) {
  std::vector<Share> shares;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const auto one = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const auto equals = one.find('=');
    if (equals == std::string_view::npos) continue;
    auto source = Address::parse(one.substr(0, equals));
    const auto pieces = parse_number<PieceNumber>(one.substr(equals + 1));
    if (source && pieces && *pieces <= kMaxPieces) shares.push_back({*std::move(source), *pieces});
  }
  return shares;
}

std::vector<const HostAccount*> slowest_first(const RunAccount& account) {
  std::vector<const HostAccount*> hosts;
  hosts.reserve(account.hosts.size());
  for (const auto& host : account.hosts) hosts.push_back(&host);
  std::stable_sort(hosts.begin(), hosts.end(), [](const auto* one, const auto* other) {
    return one->published.value_or(Duration::max()) > other->published.value_or(Duration::max());
  });
  return hosts;
}

std::string encode(const RunAccount& account) {
  std::string lines;
  for (const auto& host : account.hosts) lines += line_of(host);
  const auto end = fmt::format("{}\n", kLastLine);
  const auto head = head_of(account, account.left_out);
  if (head.size() + lines.size() + end.size() <= kRunAccountBytes) return head + lines + end;
  auto slowest = slowest_first(account);
  slowest.resize(std::min(slowest.size(), kSlowestKept));
  std::sort(slowest.begin(), slowest.end(),
            [](const auto* one, const auto* other) { return one->address < other->address; });
  lines.clear();
  // No head is longer than one that leaves out every host.
  const auto room = kRunAccountBytes - end.size() -
                    head_of(account, account.left_out + account.hosts.size()).size();
  std::size_t kept = 0;
  for (const auto* const host : slowest) {
    const auto line = line_of(*host);
    if (lines.size() + line.size() > room) break;
    lines += line;
    ++kept;
  }
  return head_of(account, account.left_out + account.hosts.size() - kept) + lines + end;
}

std::optional<RunAccount> decode_run_account(std::string_view text) {
  if (text.size() > kRunAccountBytes || next_line(text) != kFirstLine) return std::nullopt;
  RunAccount account;
  for (const auto& [key, read_rest] : kHead) {
    const auto line = next_line(text);
    if (!line) return std::nullopt;
    Words words(*line);
    words.check(words.word() == key);
    read_rest(words, account);
    if (!words.is_right() || !words.is_over()) return std::nullopt;
  }
  while (const auto line = next_line(text)) {
    if (*line == kLastLine) return text.empty() ? std::optional(std::move(account)) : std::nullopt;
    Words words(*line);
    words.check(words.word() == "host");
    if (!words.is_right() || !read_host(words, account)) return std::nullopt;
    if (!words.is_right() || !words.is_over()) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace libsync
