"""Computes bounds, medians and the table from the measurements."""

import math
import statistics

# Above this load the two cores, not the links, limit the speed of a method.
CPU_BOUND_PERCENT = 70
# The bound is that of 128 pieces for every method, so that fewer pieces cannot seem better.
BOUND_PIECES = 128


def pipelined_bound(hosts, pieces=BOUND_PIECES):
    """Multiples of F/B. No schedule of equal pieces beats this bound (Mundinger et al. 2008)."""
    return (pieces + math.ceil(math.log2(hosts + 1)) - 1) / pieces


def whole_file_bound(hosts):
    return pipelined_bound(hosts, 1)


def summary_of(method, runs, file_time):
    """The median of each figure over the good runs."""
    good = [run for run in runs if run["ok"]]
    entry = {
        "name": method.name,
        "title": method.title,
        "settings": method.settings,
        "measured": method.measured,
        "runs": runs,
        "ok": bool(good),
        "failures": [run["reason"] for run in runs if not run["ok"]],
    }
    if good:
        for figure in ("seconds", "cpu_seconds", "origin_bytes", "machine_cpu_percent"):
            entry[figure] = statistics.median(run[figure] for run in good)
        entry["times_file"] = entry["seconds"] / file_time
        entry["cpu_bound"] = entry["machine_cpu_percent"] > CPU_BOUND_PERCENT
    return entry


def table_of(results):
    ours = next(
        (row["seconds"] for row in results["methods"] if row["name"] == "ours" and row["ok"]), None
    )
    lines = [
        f"{'method':<34}{'seconds':>9}{'x F/B':>8}{'x ours':>8}{'CPU s':>8}"
        f"{'origin sent':>13}{'machine':>9}"
    ]
    size = results["bytes"]
    for row in results["methods"]:
        if not row["ok"]:
            lines.append(
                f"{row['title']:<34}  failed: "
                f"{row['failures'][-1] if row['failures'] else 'no run'}"
            )
            continue
        against = f"{row['seconds'] / ours:.2f}" if ours else "-"
        remarks = []
        if row["cpu_bound"]:
            remarks.append("CPU-bound: lower --rate")
        if row["failures"]:
            remarks.append(
                f"{len(row['failures'])} of {len(row['runs'])} runs failed: {row['failures'][-1]}"
            )
        lines.append(
            f"{row['title']:<34}{row['seconds']:>9.2f}{row['times_file']:>8.2f}{against:>8}"
            f"{row['cpu_seconds']:>8.1f}{row['origin_bytes'] / size:>11.2f} "
            f"F{row['machine_cpu_percent']:>7.0f} %"
            + ("  " + "; ".join(remarks) if remarks else "")
        )
    return "\n".join(lines)
