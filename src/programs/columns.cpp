#include "programs/columns.h"

#include <clocale>
#include <cwchar>

namespace libsync {
namespace {

// The locale of UTF-8, for as long as one lives. wcwidth(3) and mbrtowc(3) depend on it.
class Utf8 {
 public:
  Utf8() : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (locale_ != nullptr) former_ = uselocale(locale_);
  }
  ~Utf8() {
    if (locale_ == nullptr) return;
    uselocale(former_);
    freelocale(locale_);
  }
  Utf8(const Utf8&) = delete;
  Utf8& operator=(const Utf8&) = delete;

 private:
  locale_t locale_;
  locale_t former_ = nullptr;
};

}  // namespace

std::string cut_to_columns(std::string_view text, std::size_t columns) {
  const Utf8 utf8;
  std::size_t bytes = 0;
  std::mbstate_t state{};
  while (bytes < text.size()) {
    wchar_t character = 0;
    const auto length = std::mbrtowc(&character, &text[bytes], text.size() - bytes, &state);
    // Without the locale each byte of a character counts.
    if (length == 0 || length > text.size()) {
      if (columns == 0) break;
      --columns;
      ++bytes;
      state = {};
      continue;
    }
    const int width = wcwidth(character);
    const auto needed = static_cast<std::size_t>(width < 0 ? 1 : width);
    if (needed > columns) break;
    columns -= needed;
    bytes += length;
  }
  return std::string(text.substr(0, bytes));
}

}  // namespace libsync
