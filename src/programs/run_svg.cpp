#include "programs/run_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "libsync/core/escaped_text.h"
#include "libsync/core/run_bound.h"
#include "libsync/core/shown_number.h"
#include "programs/run_report.h"
#include "programs/svg_canvas.h"

namespace libsync {
namespace {

constexpr double kWidth = 1200;
constexpr double kMargin = 24;
constexpr double kTop = 150;  // Below the header.
constexpr double kCurveHeight = 230;
constexpr double kRight = 160;       // For the time and the delay of a host.
constexpr double kNamedRow = 16;     // A row with a name.
constexpr double kLabelHeight = 13;  // Between two names beside thin rows.
constexpr double kLetter = 6.7;      // Width of a letter in a name, at the size kNameSize.
constexpr double kNameSize = 11;
// Rows with names if there are more hosts than kAllNamed.
constexpr std::size_t kAllNamed = 60;
constexpr std::size_t kNamed = 20;
// Thin rows: as high as fits, down to one pixel. Then hosts share rows.
constexpr double kThinHeight = 520;
constexpr double kThickestThin = 8;
// Steps of a curve that are nearer than this are one.
constexpr double kOneStep = 0.5;
// Letters of a line of the header, at its size.
constexpr std::size_t kHeaderLetters = 150;
constexpr double kHeaderSize = 13;

constexpr std::string_view kBackground = "#ffffff";
constexpr std::string_view kGrid = "#e4e7eb";
constexpr std::string_view kAxis = "#9aa0a6";
constexpr std::string_view kText = "#333333";
constexpr std::string_view kFaint = "#666666";
constexpr std::string_view kIdeal = "#555555";

// Colours of Okabe and Ito, which people with any colour vision tell apart.
struct PartStyle {
  BarPart part;
  std::string_view name;
  std::string_view colour;
};
constexpr std::array kParts = {
    PartStyle{BarPart::waiting, "waiting", "#c9ced6"},
    PartStyle{BarPart::pulling, "pulling", "#0072b2"},
    PartStyle{BarPart::verifying, "verifying", "#f0e442"},
    PartStyle{BarPart::publishing, "publishing", "#009e73"},
    PartStyle{BarPart::failed, "failed, or not finished", "#d55e00"},
    PartStyle{BarPart::not_known, "gave no account", "#b8a2c8"},
};

const PartStyle& style_of(BarPart part) {
  return *std::find_if(kParts.begin(), kParts.end(),
                       [&](const PartStyle& style) { return style.part == part; });
}

// The smallest step of 1, 2 or 5 times a power of ten that makes at most `most` steps.
double step_for(double range, int most) {
  auto step = std::pow(10, std::floor(std::log10(range / most)));
  for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
    if (range / (step * factor) <= most) return step * factor;
  }
  return step * 10;
}

// Steps of a clock: 15 s, 10 min.
double time_step_for(double seconds, int most) {
  if (seconds <= 60) return step_for(seconds, most);
  for (const double step : {15., 30., 60., 120., 300., 600., 900., 1800., 3600., 7200., 21600.}) {
    if (seconds / step <= most) return step;
  }
  return 86400 * std::max(1.0, std::ceil(seconds / 86400 / most));
}

std::string shown_time(double seconds, double step) {
  if (step < 60) return fmt::format("{:.4g} s", seconds);
  if (step < 3600) return fmt::format("{:.4g} min", seconds / 60);
  return fmt::format("{:.4g} h", seconds / 3600);
}

// Where times lie in the picture.
struct TimeScale {
  double left;
  double seconds;  // To the right end. More than zero.

  [[nodiscard]] double width() const { return kWidth - kMargin - kRight - left; }
  [[nodiscard]] double x(Duration time) const {
    return left + std::clamp(in_seconds(time) / seconds, 0.0, 1.0) * width();
  }
};

// A row of the picture: one host, or several that are about as slow, the slowest of them.
struct Row {
  const HostAccount* host;
  double y;
  double height;
  bool is_named;
};

// The rows of a run, and the headings between them.
struct Rows {
  std::vector<Row> rows;
  std::vector<std::pair<double, std::string>> headings;
  double bottom = 0;
};

// The heading of the rows with names, if these are some of the hosts.
std::string heading_of(const RunAccount& account, const std::vector<const HostAccount*>& hosts,
                       std::size_t named) {
  const auto unfinished = [](const HostAccount* host) { return !host->published; };
  const auto shown =
      std::count_if(hosts.begin(), hosts.begin() + static_cast<std::ptrdiff_t>(named), unfinished);
  const auto all = std::count_if(hosts.begin(), hosts.end(), unfinished);
  if (all == 0) {
    return fmt::format("The slowest {} of {} hosts", named, hosts.size() + account.left_out);
  }
  return fmt::format("{} of {} hosts that did not finish, and the slowest {} of the others", shown,
                     all, static_cast<std::ptrdiff_t>(named) - shown);
}

Rows rows_of(const RunAccount& account, double top) {
  Rows all;
  all.bottom = top;
  const auto named = account.hosts.size() <= kAllNamed ? account.hosts.size() : kNamed;
  const auto hosts = notable_first(account, named);
  const auto head = [&](const std::string& text) {
    all.headings.emplace_back(all.bottom + 14, text);
    all.bottom += 22;
  };
  if (named < hosts.size()) {
    head(heading_of(account, hosts, named));
  } else if (!hosts.empty()) {
    head("Hosts, the slowest first");
  }
  for (std::size_t i = 0; i < named; ++i) {
    all.rows.push_back({hosts[i], all.bottom, kNamedRow, true});
    all.bottom += kNamedRow;
  }
  const auto others = hosts.size() - named;
  if (others == 0) return all;
  const auto in_a_row =
      static_cast<std::size_t>(std::ceil(std::max(1.0, static_cast<double>(others) / kThinHeight)));
  const auto count = (others + in_a_row - 1) / in_a_row;
  const auto height =
      std::clamp(std::floor(kThinHeight / static_cast<double>(count)), 1.0, kThickestThin);
  all.bottom += 8;
  auto text = fmt::format("{} other hosts, the slowest first", others);
  if (in_a_row > 1)
    text += fmt::format("; {} hosts share a row, and the slowest is drawn", in_a_row);
  if (account.left_out > 0) text += fmt::format("; {} faster ones are left out", account.left_out);
  head(text);
  double named_to = 0;
  for (std::size_t i = named; i < hosts.size(); i += in_a_row) {
    const bool is_named = all.bottom >= named_to;
    if (is_named) named_to = all.bottom + kLabelHeight;
    all.rows.push_back({hosts[i], all.bottom, height, is_named});
    all.bottom += height;
  }
  return all;
}

double left_margin(const Rows& rows) {
  std::size_t longest = 8;
  for (const auto& row : rows.rows) {
    if (row.is_named) longest = std::max(longest, row.host->address.text().size());
  }
  return kMargin + 10 + kLetter * static_cast<double>(longest);
}

void draw_header(SvgCanvas& canvas, const RunAccount& account, const Measured& run) {
  const auto line = [&](double y, const TextStyle& style, std::string_view text) {
    const auto letters = static_cast<std::size_t>(kHeaderLetters * kHeaderSize / style.size);
    canvas.text(kMargin, y, style, xml_text(text, letters));
  };
  const TextStyle plain{.size = kHeaderSize, .colour = kText};
  line(34, {.size = 20, .colour = "#111111", .is_bold = true},
       fmt::format("{}: {} of {} hosts in {:.1f} s", account.outcome, account.finished,
                   account.expected, in_seconds(account.took)));
  line(56, plain, account.path);
  line(76, {.size = kHeaderSize, .colour = kFaint},
       fmt::format("{} in {} pieces, {}, begun {}, run {}",
                   shown_bytes(static_cast<double>(account.cut.stream_bytes)), account.cut.pieces(),
                   account.has_trees ? "along trees" : "by claims", shown_moment(account.begun_ms),
                   account.run.text()));
  std::string bound = "Bound: not known, since no host measured its rate";
  if (run.bound) {
    bound = fmt::format("Bound: {:.1f} s for {} hosts at {}/s", in_seconds(*run.bound), run.hosts,
                        shown_bytes(*run.fastest));
  }
  if (run.factor) {
    bound += fmt::format("; all had it after {:.1f} s, {:.3g} times that",
                         in_seconds(*run.all_had_it), *run.factor);
  }
  line(96, plain, bound);
  const auto slowest = slowest_text(account, run);
  if (slowest.empty()) return;
  canvas.text(kMargin, 116, plain, xml_of_escaped("Slowest: " + slowest, kHeaderLetters));
}

void draw_times(SvgCanvas& canvas, const TimeScale& scale, double top, double bottom) {
  const auto step = time_step_for(scale.seconds, 10);
  for (double at = 0; at <= scale.seconds * 1.0001; at += step) {
    const auto x = scale.left + at / scale.seconds * scale.width();
    canvas.line(x, top, x, bottom, kGrid);
    canvas.text(x, bottom + 15, {.size = 11, .colour = kFaint, .anchor = Anchor::middle},
                shown_time(at, step));
  }
}

// The corners of a curve of steps, from the lower left corner to the right end.
std::string steps_of(const std::vector<Completed>& curve, const TimeScale& scale, double bottom,
                     double per_host) {
  std::string points = fmt::format("{:.2f},{:.2f}", scale.left, bottom);
  double y = bottom;
  double group = scale.left - 1;
  for (std::size_t i = 0; i < curve.size(); ++i) {
    const auto& [at, hosts] = curve[i];
    const auto x = scale.x(at);
    // Steps within half a pixel are one.
    if (x - group >= kOneStep) group = x;
    if (i + 1 < curve.size() && scale.x(curve[i + 1].at) - group < kOneStep) continue;
    points += fmt::format(" {:.2f},{:.2f}", x, y);
    if (in_seconds(at) > scale.seconds) return points;
    y = bottom - static_cast<double>(hosts) * per_host;
    points += fmt::format(" {:.2f},{:.2f}", x, y);
  }
  return points + fmt::format(" {:.2f},{:.2f}", scale.left + scale.width(), y);
}

void draw_curves(SvgCanvas& canvas, const RunAccount& account, const Measured& run,
                 const TimeScale& scale) {
  const auto most = static_cast<double>(
      std::max<std::size_t>({1, account.expected, account.finished, run.hosts}));
  const auto bottom = kTop + kCurveHeight;
  const auto per_host = kCurveHeight / most;
  const auto right = scale.left + scale.width();
  const auto step = std::max(1.0, step_for(most, 5));
  for (double hosts = 0; hosts <= most; hosts += step) {
    const auto y = bottom - hosts * per_host;
    canvas.line(scale.left, y, right, y, kGrid);
    // The last step may be too near to the number of all.
    if (hosts + 0.6 * step > most && hosts < most) continue;
    canvas.text(scale.left - 8, y + 4, {.size = 11, .colour = kFaint, .anchor = Anchor::end},
                fmt::format("{:.0f}", hosts));
  }
  canvas.line(scale.left, kTop, right, kTop, kGrid);
  canvas.text(scale.left - 8, kTop + 4, {.size = 11, .colour = kFaint, .anchor = Anchor::end},
              fmt::format("{:.0f}", most));
  draw_times(canvas, scale, kTop, bottom);
  const auto actual = steps_of(curve_of(account), scale, bottom, per_host);
  const auto blue = style_of(BarPart::pulling).colour;
  canvas.polygon(fmt::format("{} {:.2f},{:.2f}", actual, right, bottom), blue, 0.12);
  if (run.bound) {
    canvas.polyline(
        steps_of(ideal_curve(account.cut, run.hosts, *run.fastest), scale, bottom, per_host),
        kIdeal, 1.5, "6 4");
  }
  canvas.polyline(actual, blue, 2.5);
  canvas.line(scale.left, kTop, scale.left, bottom, kAxis);
  canvas.line(scale.left, bottom, right, bottom, kAxis);
  const auto key_x = right + 14;
  canvas.polyline(fmt::format("{0:.2f},{1:.2f} {2:.2f},{1:.2f}", key_x, kTop + 8, key_x + 24), blue,
                  2.5);
  canvas.text(key_x + 30, kTop + 12, {.size = 12}, "hosts complete");
  canvas.polyline(fmt::format("{0:.2f},{1:.2f} {2:.2f},{1:.2f}", key_x, kTop + 28, key_x + 24),
                  kIdeal, 1.5, "6 4");
  canvas.text(key_x + 30, kTop + 32, {.size = 12}, run.bound ? "ideal" : "ideal: not known");
}

// The height of the bar in a row: with a gap to the next one, where there is room.
double bar_height(const Row& row) {
  if (row.height >= kNamedRow) return row.height - 3;
  return row.height >= 4 ? row.height - 1 : row.height;
}

void draw_bar(SvgCanvas& canvas, const Row& row, const RunAccount& account, const Measured& run,
              const TimeScale& scale) {
  const auto& host = *row.host;
  const auto height = bar_height(row);
  canvas.open_group(xml_of_escaped(
      fmt::format("{}: {}", host.address.text(), why_slow(host, account, run.fastest)),
      kHeaderLetters));
  for (const auto& [part, from, to] : bar_of(host, account.took)) {
    const auto x = scale.x(from);
    canvas.rectangle(x, row.y, std::max(0.3, scale.x(to) - x), height, style_of(part).colour);
  }
  if (host.joined && row.height >= kNamedRow) {
    const auto x = scale.x(std::min(*host.joined, account.took));
    canvas.line(x, row.y - 1, x, row.y + height + 1, "#222222", 1.5);
  }
  canvas.close_group();
}

void draw_name(SvgCanvas& canvas, const Row& row, const RunAccount& account, const Measured& run,
               const TimeScale& scale) {
  const auto& host = *row.host;
  const auto y = row.y + std::max(bar_height(row), 2.0) / 2 + 4;
  canvas.text(scale.left - 8, y, {.size = kNameSize, .colour = kText, .anchor = Anchor::end},
              host.address.text());
  const auto bar = bar_of(host, account.took);
  const auto end = bar.empty() ? scale.left : scale.x(bar.back().to);
  const auto delay = name_of(delay_of(host, account, run.fastest));
  // The bar above may be longer.
  canvas.text(end + 8, y, {.size = kNameSize, .colour = kFaint, .has_halo = true},
              host.published ? fmt::format("{:.1f} s, {}", in_seconds(*host.published), delay)
                             : std::string(delay));
}

// The legend, in one line.
void draw_legend(SvgCanvas& canvas, const RunAccount& account, double left, double y) {
  const bool has_unknown =
      std::any_of(account.hosts.begin(), account.hosts.end(),
                  [](const HostAccount& host) { return host.published && !host.has_account; });
  auto x = left;
  for (const auto& style : kParts) {
    if (style.part == BarPart::not_known && !has_unknown) continue;
    canvas.rectangle(x, y - 10, 14, 12, style.colour);
    canvas.text(x + 20, y, {.size = 12}, std::string(style.name));
    x += 44 + kLetter * static_cast<double>(style.name.size());
  }
  canvas.line(x + 4, y - 11, x + 4, y + 3, "#222222", 1.5);
  canvas.text(x + 12, y, {.size = 12}, "its tick joined the run");
}

}  // namespace

std::vector<BarSpan> bar_of(const HostAccount& host, Duration took) {
  std::vector<BarSpan> bar;
  Duration known{0};
  const auto until = [&](const std::optional<Duration>& time, BarPart part) {
    if (!time) return;
    const auto to = std::clamp(*time, known, std::max(known, took));
    if (to > known) bar.push_back({part, known, to});
    known = to;
  };
  if (host.published && !host.has_account) {
    until(host.published, BarPart::not_known);
    return bar;
  }
  until(host.first_byte ? host.first_byte : host.joined, BarPart::waiting);
  if (host.first_byte) until(host.last_byte, BarPart::pulling);
  until(host.in_place, BarPart::verifying);
  until(host.published, BarPart::publishing);
  if (!host.published) until(took, BarPart::failed);
  return bar;
}

std::string run_svg(const RunAccount& account) {
  SvgCanvas canvas;
  const auto run = measured(account);
  const auto legend_y = kTop + kCurveHeight + 50;
  const auto rows = rows_of(account, legend_y + 14);
  // The ideal curve matters as far as the run went; a bound above that is a rough estimate.
  const auto longest = std::max(account.took, Duration(1));
  const auto shown = std::clamp(run.bound.value_or(longest), longest, 2 * longest);
  const TimeScale scale{left_margin(rows), in_seconds(shown)};
  draw_header(canvas, account, run);
  draw_curves(canvas, account, run, scale);
  draw_legend(canvas, account, scale.left, legend_y);
  if (!rows.rows.empty()) draw_times(canvas, scale, rows.rows.front().y - 3, rows.bottom + 3);
  for (const auto& [y, text] : rows.headings) {
    canvas.rectangle(scale.left - 1, y - 14, scale.width() + 2, 19, kBackground);
    canvas.text(scale.left, y, {.size = 13, .colour = kText, .is_bold = true}, text);
  }
  for (const auto& row : rows.rows) draw_bar(canvas, row, account, run, scale);
  for (const auto& row : rows.rows) {
    if (row.is_named) draw_name(canvas, row, account, run, scale);
  }
  return canvas.file(kWidth, rows.bottom + 40,
                     xml_text(fmt::format("Run of {}", account.path), kHeaderLetters));
}

}  // namespace libsync
