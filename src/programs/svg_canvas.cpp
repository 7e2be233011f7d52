#include "programs/svg_canvas.h"

#include <fmt/format.h>

#include "libsync/core/escaped_text.h"

namespace libsync {
namespace {

std::string_view name_of(Anchor anchor) {
  switch (anchor) {
    case Anchor::start:
      return "start";
    case Anchor::middle:
      return "middle";
    case Anchor::end:
      break;
  }
  return "end";
}

// The character at the front of `text`, which is UTF-8 and not empty.
std::string_view front_of(std::string_view text) {
  std::size_t length = 1;
  while (length < text.size() && (static_cast<unsigned char>(text[length]) & 0xc0U) == 0x80U) {
    ++length;
  }
  return text.substr(0, length);
}

// A character as XML; itself if it means nothing there.
std::string_view xml_of(std::string_view character) {
  if (character == "&") return "&amp;";
  if (character == "<") return "&lt;";
  if (character == ">") return "&gt;";
  if (character == "\"") return "&quot;";
  if (character == "'") return "&#39;";
  // UTF-8 has these two, and XML forbids them.
  if (character == "\uFFFE" || character == "\uFFFF") return "\uFFFD";
  return character;
}

}  // namespace

std::string xml_of_escaped(std::string_view text, std::size_t most) {
  std::string xml;
  for (std::size_t i = 0; !text.empty(); ++i) {
    const auto character = front_of(text);
    if (i + 1 == most && character.size() < text.size()) return xml + "\u2026";
    xml += xml_of(character);
    text.remove_prefix(character.size());
  }
  return xml;
}

std::string xml_text(std::string_view text, std::size_t most) {
  return xml_of_escaped(escaped(text), most);
}

void SvgCanvas::open_group(const std::string& title) {
  elements_ += fmt::format("<g><title>{}</title>\n", title);
}

void SvgCanvas::close_group() { elements_ += "</g>\n"; }

void SvgCanvas::rectangle(double x, double y, double width, double height,
                          std::string_view colour) {
  elements_ += fmt::format(
      "<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"{}\"/>\n", x, y,
      width, height, colour);
}

void SvgCanvas::line(double x1, double y1, double x2, double y2, std::string_view colour,
                     double width) {
  elements_ += fmt::format(
      "<line x1=\"{:.2f}\" y1=\"{:.2f}\" x2=\"{:.2f}\" y2=\"{:.2f}\" stroke=\"{}\" "
      "stroke-width=\"{}\"/>\n",
      x1, y1, x2, y2, colour, width);
}

void SvgCanvas::polyline(const std::string& points, std::string_view colour, double width,
                         std::string_view dashes) {
  elements_ += fmt::format(
      R"(<polyline points="{}" fill="none" stroke="{}" stroke-width="{}" stroke-linejoin="round")",
      points, colour, width);
  if (!dashes.empty()) elements_ += fmt::format(" stroke-dasharray=\"{}\"", dashes);
  elements_ += "/>\n";
}

void SvgCanvas::polygon(const std::string& points, std::string_view colour, double opacity) {
  elements_ += fmt::format("<polygon points=\"{}\" fill=\"{}\" fill-opacity=\"{}\"/>\n", points,
                           colour, opacity);
}

void SvgCanvas::text(double x, double y, const TextStyle& style, const std::string& text) {
  elements_ +=
      fmt::format(R"(<text x="{:.2f}" y="{:.2f}" font-size="{}" fill="{}" text-anchor="{}")", x, y,
                  style.size, style.colour, name_of(style.anchor));
  if (style.is_bold) elements_ += " font-weight=\"bold\"";
  if (style.has_halo) elements_ += R"( stroke="#ffffff" stroke-width="3" paint-order="stroke")";
  elements_ += fmt::format(">{}</text>\n", text);
}

std::string SvgCanvas::file(double width, double height, const std::string& title) const {
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "viewBox=\"0 0 {0:.0f} {1:.0f}\" font-family=\"sans-serif\">\n"
      "<title>{2}</title>\n"
      "<rect width=\"{0:.0f}\" height=\"{1:.0f}\" fill=\"#ffffff\"/>\n{3}</svg>\n",
      width, height, title, elements_);
}

}  // namespace libsync
