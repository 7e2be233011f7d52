"""Checks the links before a method runs on them.

A pull by one receiver alone shows how much of the rate a transfer gets. A tiny pull beside bulk
transfers shows how long a handshake waits behind their queues: on a LAN, some milliseconds.
"""

import statistics
import subprocess
import time

from one_source import start_rsyncd, wait_for_port
from processes import Processes

TINY_PULLS = 15
# One pull alone may need this many times F/B, for headers and its start. Slower links would distort
# every measurement.
MOST_TIMES_FILE = 1.08


def calibrate(network, payload, folder):
    folder.mkdir()
    (payload.parent / "tiny").write_bytes(b"x" * 1000)
    processes = Processes(folder)
    one, other = network.hosts[:2]
    try:
        urls = {
            host: start_rsyncd(processes, host, folder, payload.parent) for host in (one, other)
        }
        for host in urls:
            wait_for_port(host.address, 8730)
        alone = _seconds(lambda: _pull(other, urls[one], payload.name, folder / "alone"))
        idle = _tiny(other, urls[one], folder)
        # These pulls fill both directions of both links, as in the middle of a run.
        bulk = [
            processes.start(
                to,
                "rsync",
                "--sockopts=TCP_NODELAY",
                f"{urls[by]}/{payload.name}",
                f"{folder}/bulk-{to.name}",
                name=f"bulk-{to.name}",
            )
            for to, by in ((one, other), (other, one))
        ]
        time.sleep(1)
        beside = _tiny(other, urls[one], folder)
        if any(process.poll() is not None for process in bulk):
            raise RuntimeError(
                "the payload is too small, bulk transfers ended before tiny ones: raise --bytes"
            )
    finally:
        processes.end()
        subprocess.run(("rm", "-rf", str(folder), str(payload.parent / "tiny")), check=True)
    file_time = payload.stat().st_size / network.link.bytes_per_second
    return {
        "one_receiver_times_file": alone / file_time,
        "tiny_idle_ms": idle,
        "tiny_beside_bulk_ms": beside,
    }


def is_good(figures):
    return figures["one_receiver_times_file"] <= MOST_TIMES_FILE


def sentence(figures):
    limit = "" if is_good(figures) else f" (NOT CALIBRATED: more than {MOST_TIMES_FILE:g})"
    return (
        f"calibration: one receiver alone {figures['one_receiver_times_file']:.3f} x F/B{limit}; "
        f"a pull of 1 kB needs "
        f"{figures['tiny_idle_ms']:.0f} ms on idle links, {figures['tiny_beside_bulk_ms']:.0f} "
        f"ms beside bulk "
        "transfers both ways"
    )


def _pull(to, url, name, into):
    into.mkdir(exist_ok=True)
    subprocess.run(
        to.inside("rsync", "--sockopts=TCP_NODELAY", f"{url}/{name}", f"{into}/"), check=True
    )


def _seconds(do):
    started = time.monotonic()
    do()
    return time.monotonic() - started


def _tiny(to, url, folder):
    return 1000 * statistics.median(
        _seconds(lambda: _pull(to, url, "tiny", folder / f"tiny-{number}"))
        for number in range(TINY_PULLS)
    )
