#pragma once

// Shapes and texts as elements of an SVG.

#include <cstddef>
#include <string>
#include <string_view>

namespace libsync {

/// Text that has passed through escaped() (core/escaped_text.h) as text of XML: without what XML
/// means or forbids, and `most` characters at most.
[[nodiscard]] std::string xml_of_escaped(std::string_view text, std::size_t most);

/// The same for text from outside.
[[nodiscard]] std::string xml_text(std::string_view text, std::size_t most);

enum class Anchor { start, middle, end };

/// The style of a text.
struct TextStyle {
  double size = 12;
  std::string_view colour = "#333333";
  Anchor anchor = Anchor::start;
  bool is_bold = false;
  bool has_halo = false;  ///< A rim of the background, over what else is there.
};

/// Collects elements. Its callers give it colours of ours, and texts that are XML already.
class SvgCanvas {
 public:
  /// The elements until close_group() have this title, which a browser shows at the pointer.
  void open_group(const std::string& title);
  void close_group();
  void rectangle(double x, double y, double width, double height, std::string_view colour);
  void line(double x1, double y1, double x2, double y2, std::string_view colour, double width = 1);
  /// `points`: "x,y x,y". Empty dashes: a solid line.
  void polyline(const std::string& points, std::string_view colour, double width,
                std::string_view dashes = {});
  void polygon(const std::string& points, std::string_view colour, double opacity);
  void text(double x, double y, const TextStyle& style, const std::string& text);

  /// The whole file. `title` is for readers that show no picture.
  [[nodiscard]] std::string file(double width, double height, const std::string& title) const;

 private:
  std::string elements_;
};

}  // namespace libsync
