// The picture of a run: well-formed for any text and any number, and of bounded size.

#include "programs/run_svg.h"

#include <gmock/gmock.h>

#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "account_values.h"
#include "programs/svg_canvas.h"
#include "test_process.h"

namespace libsync {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr Duration kTook{10'000};

Duration ms(std::int64_t count) { return Duration(count); }

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

double height_of(const std::string& svg) {
  std::smatch match;
  EXPECT_TRUE(std::regex_search(svg, match, std::regex("<svg [^>]*height=\"([0-9]+)\"")));
  return std::stod(match[1]);
}

// The tags, without the texts in between.
std::string tags_of(const std::string& svg) {
  std::string tags;
  bool is_tag = false;
  for (const char byte : svg) {
    is_tag = is_tag || byte == '<';
    if (is_tag) tags += byte;
    is_tag = is_tag && byte != '>';
  }
  return tags;
}

void expect_well_formed(const std::string& svg) {
  const auto ran = test::run({"xmllint", "--noout", "-"}, svg);
  EXPECT_EQ(ran.status, 0) << ran.errors;
  EXPECT_EQ(ran.errors, "");
  // Self-contained: the name space is the only address in it.
  const auto tags = tags_of(svg);
  EXPECT_EQ(count_of(tags, "://"), 1U);
  for (const auto* const active :
       {"<script", "href", "<a ", "<image", "<foreignObject", "<style", "@import", "url(", " on"}) {
    EXPECT_THAT(tags, Not(HasSubstr(active)));
  }
}

TEST(BarOf, HasThePartsOfAHostInOrder) {
  HostAccount host{.address = test::nth_host(0), .has_come = true, .has_account = true};
  host.joined = ms(1000);
  host.first_byte = ms(2000);
  host.last_byte = ms(6000);
  host.in_place = ms(7000);
  host.published = ms(8000);
  EXPECT_THAT(bar_of(host, kTook), ElementsAre(BarSpan{BarPart::waiting, ms(0), ms(2000)},
                                               BarSpan{BarPart::pulling, ms(2000), ms(6000)},
                                               BarSpan{BarPart::verifying, ms(6000), ms(7000)},
                                               BarSpan{BarPart::publishing, ms(7000), ms(8000)}));
  host.first_byte.reset();
  host.last_byte.reset();
  EXPECT_THAT(bar_of(host, kTook), ElementsAre(BarSpan{BarPart::waiting, ms(0), ms(1000)},
                                               BarSpan{BarPart::verifying, ms(1000), ms(7000)},
                                               BarSpan{BarPart::publishing, ms(7000), ms(8000)}))
      << "it had every piece already";
}

TEST(BarOf, EndsAHostThatDidNotFinishWithTheRun) {
  HostAccount host{.address = test::nth_host(0)};
  EXPECT_THAT(bar_of(host, kTook), ElementsAre(BarSpan{BarPart::failed, ms(0), kTook}));
  host.joined = ms(1000);
  host.first_byte = ms(2000);
  host.last_byte = ms(6000);
  EXPECT_THAT(bar_of(host, kTook), ElementsAre(BarSpan{BarPart::waiting, ms(0), ms(2000)},
                                               BarSpan{BarPart::pulling, ms(2000), ms(6000)},
                                               BarSpan{BarPart::failed, ms(6000), kTook}));
}

TEST(BarOf, BelievesNoTimes) {
  HostAccount host{.address = test::nth_host(0), .has_account = true};
  host.joined = ms(5000);
  host.first_byte = ms(3000);
  host.last_byte = ms(2000);
  host.in_place = ms(900'000'000);
  host.published = ms(1);
  EXPECT_THAT(bar_of(host, kTook), ElementsAre(BarSpan{BarPart::waiting, ms(0), ms(3000)},
                                               BarSpan{BarPart::verifying, ms(3000), kTook}));
  host.has_account = false;
  host.published = ms(4000);
  EXPECT_THAT(bar_of(host, kTook), ElementsAre(BarSpan{BarPart::not_known, ms(0), ms(4000)}));
  EXPECT_THAT(bar_of(host, ms(0)), IsEmpty());
}

TEST(XmlText, EscapesWhatXmlMeansOrForbids) {
  EXPECT_EQ(xml_text("<b a=\"1\" b='2'>&amp;", 99),
            "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;amp;");
  EXPECT_EQ(xml_text(std::string("\0\n\x1b\x7f\xff", 5), 99), "\\x00\\n\\x1b\\x7f\\xff");
  EXPECT_EQ(xml_text("\uFFFE\uFFFF\u0085\u2028", 99), "\uFFFD\uFFFD\\xc2\\x85\\xe2\\x80\\xa8");
  EXPECT_EQ(xml_text("h\u00e9\U0001F600", 99), "h\u00e9\U0001F600");
}

TEST(XmlText, IsCutBetweenCharacters) {
  EXPECT_EQ(xml_text("\u00e9\u00e9\u00e9\u00e9", 3), "\u00e9\u00e9\u2026");
  EXPECT_EQ(xml_text("\u00e9\u00e9\u00e9", 3), "\u00e9\u00e9\u00e9");
  EXPECT_EQ(xml_text("<<<", 2), "&lt;\u2026");
  EXPECT_EQ(xml_text("", 2), "");
}

TEST(RunSvg, IsWellFormedAtEachNumberOfHosts) {
  for (const std::size_t hosts : {0U, 1U, 2U, 8U, 60U, 61U, 100U, 1000U, 9000U}) {
    SCOPED_TRACE(hosts);
    const auto svg = run_svg(test::complete_run(hosts));
    expect_well_formed(svg);
    EXPECT_LE(height_of(svg), 1500);
    EXPECT_LT(svg.size(), 600'000U);
  }
}

TEST(RunSvg, NamesEachOfAFewHostsAndSomeOfMany) {
  auto svg = run_svg(test::complete_run(8));
  for (std::size_t n = 0; n < 8; ++n) {
    EXPECT_EQ(count_of(svg, ">" + test::nth_host(n).text() + "<"), 1U) << n;
  }
  EXPECT_THAT(svg, HasSubstr("Slowest: 10.0.1.3, after 32.0 s: slow link: 12 MB/s of 180 MB/s<"));
  EXPECT_THAT(svg, HasSubstr(">32.0 s, slow link<"));
  EXPECT_THAT(svg, HasSubstr(">complete: 8 of 8 hosts in 32.1 s<"));
  for (const auto* const name : {"waiting", "pulling", "verifying", "publishing", "failed"}) {
    EXPECT_THAT(svg, HasSubstr(">" + std::string(name))) << "the legend";
  }
  auto account = test::complete_run(1000);
  account.left_out = 500;
  svg = run_svg(account);
  const auto named = count_of(svg, "font-size=\"11\" fill=\"#333333\" text-anchor=\"end\"");
  EXPECT_GE(named, 40U);
  EXPECT_LE(named, 80U);
  EXPECT_THAT(svg, HasSubstr(">The slowest 20 of 1500 hosts<"));
  EXPECT_THAT(
      svg, HasSubstr(">980 other hosts, the slowest first; 2 hosts share a row, and the slowest is "
                     "drawn; 500 faster ones are left out<"));
}

// The corners of the curve of the hosts that are complete: the first line of its colour.
std::vector<std::pair<double, double>> corners_of(const std::string& svg) {
  const std::string begin = "<polyline points=\"";
  const auto colour = svg.find("stroke=\"#0072b2\"");
  const auto from = svg.rfind(begin, colour) + begin.size();
  std::istringstream text(svg.substr(from, svg.find('"', from) - from));
  std::vector<std::pair<double, double>> corners;
  double x = 0;
  double y = 0;
  for (char comma = 0; text >> x >> comma >> y;) corners.emplace_back(x, y);
  return corners;
}

TEST(RunSvg, DrawsTheCurveOfManyHostsAsTheyFinished) {
  for (const std::size_t hosts : {10U, 1000U, 9000U}) {
    SCOPED_TRACE(hosts);
    auto account = test::complete_run(hosts);
    // One after the other, at equal distances.
    for (std::size_t n = 0; n < hosts; ++n) {
      account.hosts[n].published =
          account.took * static_cast<std::int64_t>(n + 1) / static_cast<std::int64_t>(hosts);
    }
    const auto points = corners_of(run_svg(account));
    ASSERT_THAT(points, Not(IsEmpty()));
    EXPECT_LE(points.size(), 4000U);
    const auto [left, bottom] = points.front();
    const auto [right, top] = points.back();
    EXPECT_NEAR(bottom - top, 230, 0.1);
    for (const auto& [x, y] : points) {
      const auto straight = bottom - (bottom - top) * (x - left) / (right - left);
      EXPECT_NEAR(y, straight, 230.0 / static_cast<double>(hosts) + 1);
    }
  }
}

TEST(RunSvg, NamesHostsThatDidNotFinishAndSlowOnes) {
  const auto svg = run_svg(test::short_run(1000, 940, "no space left"));
  EXPECT_THAT(svg,
              HasSubstr(">10 of 60 hosts that did not finish, and the slowest 10 of the others<"));
  EXPECT_THAT(svg, HasSubstr(">10.0.1.3<")) << "the slowest one that finished";
}

TEST(RunSvg, ShowsHostsThatDidNotFinish) {
  const auto svg = run_svg(test::short_run(100, 90, "no space left"));
  expect_well_formed(svg);
  EXPECT_THAT(svg, HasSubstr("<title>10.0.1.92: failed: no space left</title>"));
  EXPECT_THAT(svg, HasSubstr(">never came<"));
  EXPECT_GE(count_of(svg, "#d55e00"), 11U);
}

TEST(RunSvg, IsWellFormedForAnyText) {
  std::string hostile;
  for (int byte = 0; byte < 256; ++byte) hostile += static_cast<char>(byte);
  for (const auto& text : {std::string("<script>alert(1)</script>\n\xff\"'&]]>"), hostile,
                           std::string("\uFFFE\uFFFF\u202e"), std::string(5000, '<')}) {
    auto account = test::short_run(9, 3, text);
    account.path = text;
    account.outcome = text;
    account.reason = text;
    for (auto& host : account.hosts) host.reason = text;
    expect_well_formed(run_svg(account));
  }
}

TEST(RunSvg, IsWellFormedForAnyNumber) {
  auto account = test::complete_run(5);
  account.expected = SIZE_MAX;
  account.finished = SIZE_MAX - 1;
  account.left_out = SIZE_MAX;
  account.begun_ms = UINT64_MAX;
  account.took = Duration(31'536'000'000'000);
  account.cut = {UINT64_MAX, UINT64_MAX};
  for (auto& host : account.hosts) host.pulls.bytes_per_second = 1;
  auto svg = run_svg(account);
  expect_well_formed(svg);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("\"inf")));
  EXPECT_LT(svg.size(), 50'000U);
  account.took = Duration(0);
  account.expected = 0;
  account.finished = 0;
  for (auto& host : account.hosts) host.pulls.bytes_per_second = UINT64_MAX;
  svg = run_svg(account);
  expect_well_formed(svg);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace libsync
