"""Makes one self-contained SVG of the results, for light and dark pages, without a dependency."""

from html import escape

WIDTH, LEFT, RIGHT, ROW, TOP, BOTTOM = 900, 250, 180, 34, 108, 74

# Not every viewer of SVG knows variables, so these are plain rules.
STYLE = """
  text { font: 13px "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; fill: #1f2328; }
  .title { font-size: 17px; font-weight: 600; }
  .quiet { fill: #59636e; font-size: 12px; } .paper { fill: #ffffff; }
  .value { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; }
  .cut { stroke: #ffffff; stroke-width: 3; }
  .grid { stroke: #d8dee4; } .rival { fill: #8c96a3; } .ours { fill: #1f6feb; }
  .bound { stroke: #b35900; stroke-width: 2; stroke-dasharray: 5 4; }
  .of-bound { fill: #b35900; font-size: 12px; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .quiet { fill: #9198a1; } .paper { fill: #0d1117; }
    .value, .cut { stroke: #0d1117; }
    .grid { stroke: #2d333b; } .rival { fill: #6e7681; } .ours { fill: #4493f8; }
    .bound { stroke: #e3a24a; } .of-bound { fill: #e3a24a; }
  }
"""

# The step is the smallest with at most eleven marks on the axis.
STEPS = (0.25, 0.5, 1, 2, 5, 10, 20, 50)


def svg_of(results):
    rows = sorted(
        (row for row in results["methods"] if row["ok"]), key=lambda row: row["times_file"]
    )
    failed = [row for row in results["methods"] if not row["ok"]]
    bounds = (
        (results["bound_times_file"], "bound, 128 pieces"),
        (results["whole_file_bound_times_file"], "bound, whole files"),
    )
    # The longest bar is cut if it exceeds all others by far: the others then differ visibly.
    longest = max([row["times_file"] for row in rows[:-1]] + [bound for bound, _ in bounds]) * 1.06
    bottom = TOP + ROW * (len(rows) + len(failed))
    height = bottom + BOTTOM

    def x(value):
        return LEFT + (WIDTH - LEFT - RIGHT) * min(value, longest) / longest

    title = f"One file to {results['hosts']} hosts: time until the last one has it"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="16" y="28">{escape(title)}</text>',
        f'<text class="quiet" x="16" y="48">{results["bytes"] / 1e6:.0f} MB of random bytes, '
        f'every link '
        f'{results["megabit"]:g} Mbit/s each way (F/B = {results["file_seconds"]:.1f} s), '
        f'network namespaces on one '
        f"machine, medians</text>",
    ]
    step = next(step for step in STEPS if longest / step <= 11 or step == STEPS[-1])
    mark = 0
    while mark * step <= longest:
        at = x(mark * step)
        parts.append(
            f'<line class="grid" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{bottom}"/>'
            f'<text class="quiet" x="{at:.1f}" y="{bottom + 18}" '
            f'text-anchor="middle">{mark * step:g}</text>'
        )
        mark += 1
    parts.append(
        f'<text class="quiet" x="{x(longest / 2):.1f}" y="{bottom + 38}" text-anchor="middle">'
        "time ÷ (F/B), the time of one copy at line rate; shorter is better</text>"
    )
    for number, (value, name) in enumerate(bounds):
        at = x(value)
        parts.append(
            f'<line class="bound" x1="{at:.1f}" y1="{TOP - 8 - 16 * number}" x2="{at:.1f}" '
            f'y2="{bottom}"/>'
            f'<text class="of-bound" x="{at - 4:.1f}" '
            f'y="{TOP - 14 - 16 * number}">{escape(name)}: {value:.2f}</text>'
        )
    for number, row in enumerate(rows):
        parts.append(_bar(row, TOP + ROW * number, x, longest))
    for number, row in enumerate(failed, len(rows)):
        parts.append(
            f'<text x="{LEFT - 10}" y="{TOP + ROW * number + 21}" '
            f'text-anchor="end">{escape(row["title"])}</text>'
            f'<text class="quiet" x="{LEFT + 6}" y="{TOP + ROW * number + 21}">failed</text>'
        )
    parts.append(
        f'<text class="quiet" x="16" y="{height - 12}">One receiver alone: '
        f'{results["calibration"]["one_receiver_times_file"]:.2f}. Made by tests/bench/cluster, '
        f'{escape(results["date"])}.</text></svg>\n'
    )
    return "\n".join(parts)


def _bar(row, top, x, longest):
    kind = "ours" if row["name"] == "ours" else "rival"
    label = f"{row['times_file']:.2f}  ({row['seconds']:.1f} s)" + (
        ", CPU-bound" if row["cpu_bound"] else ""
    )
    end = x(row["times_file"])
    cut = (
        f'<path class="cut" d="M{end - 22:.1f} {top + 30} l8 -26 M{end - 16:.1f} {top + 30} l8 '
        f'-26"/>'
        if row["times_file"] > longest
        else ""
    )
    return (
        f"<g><title>{escape(row['title'])}: {row['seconds']:.2f} s, {row['cpu_seconds']:.1f} CPU "
        f"s</title>"
        f'<text x="{LEFT - 10}" y="{top + 21}" text-anchor="end">{escape(row["title"])}</text>'
        f'<rect class="{kind}" x="{LEFT}" y="{top + 6}" width="{end - LEFT:.1f}" '
        f'height="{ROW - 12}" rx="2"/>{cut}'
        f'<text class="quiet value" x="{end + 6:.1f}" y="{top + 21}">{escape(label)}</text></g>'
    )
