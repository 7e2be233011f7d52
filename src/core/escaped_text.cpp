#include "libsync/core/escaped_text.h"

#include <fmt/format.h>

namespace libsync {
namespace {

// The length of the UTF-8 sequence at the start of `text`; 0 if there is none. Overlong forms,
// surrogates and values above U+10FFFF are no UTF-8 (RFC 3629, table 3-7 of the Unicode standard).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  std::size_t length = 0;
  unsigned low = 0x80;
  unsigned high = 0xbf;
  if (first >= 0xc2 && first <= 0xdf) {
    length = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    length = 3;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
  } else if (first >= 0xf0 && first <= 0xf4) {
    length = 4;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
  }
  if (length == 0 || text.size() < length || byte(1) < low || byte(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
  }
  // Terminals obey the control characters U+0080 to U+009F.
  if (first == 0xc2 && byte(1) < 0xa0) return 0;
  return length;
}

// Whether a valid sequence changes how a terminal shows the text around it. The controls of
// bidirectional text do, and the separators of lines and paragraphs.
bool changes_the_line(std::string_view sequence) {
  if (sequence == "\u061c") return true;
  if (sequence.size() != 3) return false;
  return (sequence >= "\u200e" && sequence <= "\u200f") ||
         (sequence >= "\u2028" && sequence <= "\u202e") ||
         (sequence >= "\u2066" && sequence <= "\u2069");
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text.front());
    std::size_t length = 1;
    if (byte == '\\') {
      safe += "\\\\";
    } else if (byte == '\n') {
      safe += "\\n";
    } else if (byte == '\t') {
      safe += "\\t";
    } else if (byte >= 0x20 && byte < 0x7f) {
      safe += text.front();
    } else if (length = utf8_length(text);
               length > 0 && !changes_the_line(text.substr(0, length))) {
      safe += text.substr(0, length);
    } else {
      length = 1;
      safe += fmt::format("\\x{:02x}", byte);
    }
    text.remove_prefix(length);
  }
  return safe;
}

}  // namespace libsync
