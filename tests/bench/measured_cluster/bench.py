"""Runs every method in turn on the same payload and links, and reports. See ../cluster."""

import argparse
import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import calibration
import figures
import plot
from multicast import UdpCast, Uftp
from network import Host, Link, Network, port_bytes
from one_source import OneSource
from ours import Ours
from processes import Failed, Processes, cpu_seconds, machine_ticks
from torrent import Aria2, LibTorrent
from run_trace import Trace

DATA = Path("/mnt")  # The mount namespace is private, so this hides no folder outside.

# These settings of a rival are slower than its others, and run only if --methods names them.
SLOWER = ("libtorrent-super",)


@dataclasses.dataclass
class Stage:
    """The hosts, files and processes of one run of one method."""

    link: Link
    origin: Host
    receivers: list
    payload: Path
    folder: Path
    processes: Processes


def methods_of(configuration="", trace=None):
    return [
        OneSource(),
        Ours(
            "whole-file",
            "whole-file doubling (one piece)",
            "ours with piece-size = whole, one slot",
            'piece-size = "whole"\n',
            figures.whole_file_bound,
        ),
        Ours(
            "ours",
            "sync-fanout",
            configuration.strip().replace("\n", ", ") or "defaults",
            configuration,
            lambda _: 3,
            trace,
        ),
        LibTorrent(),
        LibTorrent("libtorrent-super", "BitTorrent (libtorrent, super seed)", super_seeding=True),
        Aria2(),
        UdpCast(),
        Uftp(),
    ]


def size(text):
    match = re.fullmatch(r"([0-9]+)([KMG]?)", text)
    if not match or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not an integer with K, M or G (powers of 1024)"
        )
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]]


def arguments():
    names = [method.name for method in methods_of()]
    parser = argparse.ArgumentParser(prog="tests/bench/cluster", description=__doc__)
    parser.add_argument("--hosts", type=int, default=15, metavar="N", help="receivers (default 15)")
    parser.add_argument(
        "--rate",
        type=float,
        default=7,
        metavar="MBIT",
        help="rate of every link, each way (default 7: 15 hosts leave two cores some time)",
    )
    parser.add_argument(
        "--bytes",
        type=size,
        default=size("64M"),
        metavar="SIZE",
        help="size of the payload (default 64M)",
    )
    parser.add_argument(
        "--runs",
        type=int,
        default=3,
        metavar="R",
        help="runs of each method; the median counts (default 3)",
    )
    parser.add_argument(
        "--methods",
        default=",".join(name for name in names if name not in SLOWER),
        metavar="LIST",
        help=f"some of {','.join(names)} (default all but {','.join(SLOWER)})",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/bench-cluster"),
        metavar="FOLDER",
        help="folder of cluster.json, cluster.svg and cluster.txt (default build/bench-cluster)",
    )
    parser.add_argument(
        "--queue-ms",
        type=float,
        default=Link.queue_ms,
        help=f"length of a queue (default {Link.queue_ms:g})",
    )
    parser.add_argument(
        "--congestion",
        default=Link.congestion,
        help=f"congestion control of TCP (default {Link.congestion}, as Debian's)",
    )
    parser.add_argument(
        "--ours",
        action="append",
        default=[],
        metavar="LINE",
        dest="configuration",
        help="a line for sync.toml, to run ours with other settings, as 'slots = 4'; repeatable",
    )
    parser.add_argument(
        "--trace",
        action="store_true",
        help="print where the time of ours goes, from Redis and the links",
    )
    options = parser.parse_args()
    options.methods = options.methods.split(",")
    options.configuration = "".join(line + "\n" for line in options.configuration)
    unknown = set(options.methods) - set(names)
    if unknown:
        parser.error(f"no method {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if DATA in options.out.resolve().parents:
        parser.error(
            f"--out must not lie below {DATA}: the bench keeps its own data there, on a tmpfs"
        )
    if not 1 <= options.hosts <= 200 or options.rate <= 0 or options.runs < 1:
        parser.error("--hosts is 1 to 200, --rate above 0, --runs at least 1")
    return options


def make_payload(options):
    """Makes a payload of random bytes: neither compression nor equal blocks can help a method."""
    subprocess.run(("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(DATA)), check=True)
    payload = DATA / "payload" / "payload.bin"
    payload.parent.mkdir()
    digest = hashlib.sha256()
    with open(payload, "wb") as file:
        for start in range(0, options.bytes, 1 << 20):
            block = os.urandom(min(1 << 20, options.bytes - start))
            digest.update(block)
            file.write(block)
    return payload, digest.hexdigest()


def digest_of(path):
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def measure(method, network, payload, digest, out):
    """Prepares and times one run of a method, checks its copies, and removes all of it."""
    folder = DATA / "run"
    folder.mkdir()
    processes = Processes(folder)
    stage = Stage(network.link, network.hosts[0], network.hosts[1:], payload, folder, processes)
    file_time = payload.stat().st_size / network.link.bytes_per_second
    try:
        method.prepare(stage)
        time.sleep(1)  # The new processes settle before the CPU time counts.
        sent, cpu, (busy, ticks) = port_bytes(stage.origin)[1], cpu_seconds(), machine_ticks()
        started = time.monotonic()
        seconds = method.go(started + method.longest(len(stage.receivers)) * file_time + 30)
        seconds = seconds if seconds is not None else time.monotonic() - started
        busy, ticks = (now - then for now, then in zip(machine_ticks(), (busy, ticks)))
        result = {
            "ok": True,
            "seconds": seconds,
            "cpu_seconds": cpu_seconds() - cpu,
            "origin_bytes": port_bytes(stage.origin)[1] - sent,
            "machine_cpu_percent": 100 * busy / ticks,
        }
        wrong = [host.name for host in stage.receivers if digest_of(method.copy_of(host)) != digest]
        if wrong:
            raise Failed(f"{len(wrong)} copies have another SHA-256: {', '.join(wrong)}")
        return result
    except (Failed, OSError, RuntimeError, subprocess.SubprocessError) as failure:
        logs = out / f"failed-{method.name}"
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir()
        for log in folder.rglob("*.log"):
            shutil.copy(log, logs / str(log.relative_to(folder)).replace("/", "-"))
        return {"ok": False, "reason": f"{failure} (logs: {logs})"}
    finally:
        processes.end()
        shutil.rmtree(folder, ignore_errors=True)


def write(results, out):
    (out / "cluster.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (out / "cluster.txt").write_text(figures.table_of(results) + "\n", encoding="utf-8")
    (out / "cluster.svg").write_text(plot.svg_of(results), encoding="utf-8")


def main():
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    payload, digest = make_payload(options)
    network = Network(
        options.hosts + 1,
        Link(options.rate, queue_ms=options.queue_ms, congestion=options.congestion),
    )
    file_time = options.bytes / network.link.bytes_per_second
    print(
        f"{options.hosts} receivers, {options.bytes} bytes, {options.rate:g} Mbit/s each way: "
        f"F/B = {file_time:.2f} s"
    )
    try:
        calibrated = calibration.calibrate(network, payload, DATA / "calibration")
    except RuntimeError as failure:
        print(f"tests/bench/cluster: {failure}", file=sys.stderr)
        return 2
    print(calibration.sentence(calibrated), flush=True)
    results = {
        "hosts": options.hosts,
        "bytes": options.bytes,
        "megabit": options.rate,
        "file_seconds": file_time,
        "bound_times_file": figures.pipelined_bound(options.hosts),
        "whole_file_bound_times_file": figures.whole_file_bound(options.hosts),
        "cores": os.cpu_count(),
        "kernel": os.uname().release,
        "link": dataclasses.asdict(network.link),
        "calibration": calibrated,
        "date": time.strftime("%Y-%m-%d"),
        "methods": [],
    }
    chosen = [
        method
        for method in methods_of(
            options.configuration, Trace(options.out) if options.trace else None
        )
        if method.name in options.methods
    ]
    runs = {method.name: [] for method in chosen}
    for number in range(1, options.runs + 1):
        for method in chosen:
            run = measure(method, network, payload, digest, options.out)
            runs[method.name].append(run)
            outcome = (
                f"{run['seconds']:.2f} s, {run['seconds'] / file_time:.2f} x F/B, machine "
                f"{run['machine_cpu_percent']:.0f} % busy"
                if run["ok"]
                else f"failed: {run['reason']}"
            )
            print(f"run {number} of {options.runs}, {method.name}: {outcome}", flush=True)
            results["methods"] = [
                figures.summary_of(one, runs[one.name], file_time)
                for one in chosen
                if runs[one.name]
            ]
            write(results, options.out)
    print(figures.table_of(results))
    print(
        f"\nno schedule of {figures.BOUND_PIECES} pieces beats {results['bound_times_file']:.3f} "
        f"x F/B, none of whole "
        f"files {results['whole_file_bound_times_file']:g} x\nresults: "
        f"{options.out}/cluster.json, .txt, .svg"
    )
    went_well = all(row["ok"] and not row["failures"] for row in results["methods"])
    return 0 if went_well and calibration.is_good(calibrated) else 1
