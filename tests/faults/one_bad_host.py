"""Times the good hosts of a run while one host is bad. See one_bad_host."""

import argparse
import os
import shutil
import signal
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "bench" / "measured_cluster"))

from bench import DATA, Stage, digest_of, make_payload, size  # noqa: E402
from network import Link, Network, run  # noqa: E402
from ours import Ours  # noqa: E402
from processes import Failed, Processes  # noqa: E402

STANDING = ("uplink:100", "unplug:0.5", "freeze:0.5:4")
ALL = (
    *(f"uplink:{factor}" for factor in (10, 100, 1000)),
    *(f"unplug:{at}" for at in (0.1, 0.5, 0.9)),
    *(f"freeze:{at}:4" for at in (0.1, 0.5, 0.9)),
)
MOST_TIMES, MOST_SECONDS = 1.25, 3


class Fault:
    """A fault of one host, as a case names it."""

    def __init__(self, case, undisturbed):
        self.kind, *numbers = case.split(":")
        numbers = [float(number) for number in numbers]
        wanted = {"uplink": 1, "unplug": 1, "freeze": 2}.get(self.kind)
        if wanted != len(numbers):
            raise argparse.ArgumentTypeError(f"'{case}' is no case")
        self.factor = numbers[0]
        self.at = 0 if self.kind == "uplink" else numbers[0] * undisturbed
        self.lasts = numbers[1] * undisturbed if self.kind == "freeze" else None

    def begin(self, host, link):
        if self.kind == "uplink":
            set_uplink(host, link, link.megabit / self.factor)
        elif self.kind == "unplug":
            run("ip", "link", "set", host.port, "down")
        else:
            send_all(host, signal.SIGSTOP)

    def end(self, host, link):
        if self.kind == "uplink":
            set_uplink(host, link, link.megabit)
        elif self.kind == "unplug":
            run("ip", "link", "set", host.port, "up")
        else:
            send_all(host, signal.SIGCONT)


def set_uplink(host, link, megabit):
    run(
        *host.inside("tc", "qdisc", "change", "dev", "eth0", "root", "handle", "1:", "tbf"),
        *f"rate {int(megabit * 1e6)}bit burst {link.burst_bytes} limit {link.own_queue_bytes}".split(),
    )


def send_all(host, number):
    for pid in run("ip", "netns", "pids", host.name).split():
        try:
            os.kill(int(pid), number)
        except ProcessLookupError:
            pass


class WithOneBadHost(Ours):
    """A run whose last receiver is bad. go() returns the time of the good ones."""

    def __init__(self, configuration, fault):
        super().__init__("bad", "sync-fanout", "", configuration, lambda _: 3)
        self._fault = fault

    def go(self, deadline):
        bad = self._stage.receivers[-1]
        good = self._stage.receivers[:-1] if self._fault else self._stage.receivers
        timers = []
        if self._fault:
            begin, link = self._fault, self._stage.link
            timers.append(threading.Timer(begin.at, begin.begin, (bad, link)))
            if begin.lasts:
                timers.append(threading.Timer(begin.at + begin.lasts, begin.end, (bad, link)))
        for timer in timers:
            timer.start()
        try:
            return self._time_of({host.address for host in good}, deadline)
        finally:
            for timer in timers:
                timer.cancel()
                timer.join()
            if self._fault:
                self._fault.end(bad, self._stage.link)

    def _time_of(self, good, deadline):
        started = self._set_task()
        finished, last = {}, "0"
        while not good <= finished.keys():
            events, last = self._redis.events_after(last, 500)
            finished |= {
                fields["host"]: at for at, fields in events if fields["event"] == "finished"
            }
            if time.monotonic() > deadline:
                raise Failed(f"good hosts did not finish in time: {sorted(good - finished.keys())}")
        return max(finished[host] for host in good) - started


def measure(configuration, fault, network, payload, digest, logs):
    """The seconds until the last good host has finished, and the names of hosts with a wrong copy."""
    folder = DATA / "run"
    folder.mkdir()
    processes = Processes(folder)
    stage = Stage(network.link, network.hosts[0], network.hosts[1:], payload, folder, processes)
    method = WithOneBadHost(configuration, fault)
    try:
        method.prepare(stage)
        time.sleep(1)
        file_time = payload.stat().st_size / network.link.bytes_per_second
        seconds = method.go(time.monotonic() + 10 * file_time + 60)
        good = stage.receivers[:-1] if fault else stage.receivers
        return seconds, [host.name for host in good if digest_of(method.copy_of(host)) != digest]
    except Failed:
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(parents=True)
        for log in folder.rglob("*.log"):
            shutil.copy(log, logs / str(log.relative_to(folder)).replace("/", "-"))
        raise
    finally:
        processes.end()
        shutil.rmtree(folder, ignore_errors=True)


def arguments():
    parser = argparse.ArgumentParser(prog="tests/faults/one_bad_host", description=__doc__)
    parser.add_argument("--all", action="store_true", help=f"all cases: {' '.join(ALL)}")
    parser.add_argument(
        "--case", action="append", default=[], help=f"one case (default {' '.join(STANDING)})"
    )
    parser.add_argument("--hosts", type=int, default=8, help="receivers (default 8)")
    parser.add_argument("--rate", type=float, default=8, help="Mbit/s of every link (default 8)")
    parser.add_argument("--bytes", type=size, default=size("20M"), help="payload (default 20M)")
    parser.add_argument("--runs", type=int, default=3, help="runs; the median counts (default 3)")
    parser.add_argument(
        "--ours",
        action="append",
        default=[],
        metavar="LINE",
        help="a line for sync.toml, as 'spread = \"trees\"'; repeatable",
    )
    parser.add_argument(
        "--logs", type=Path, default=Path("build/one-bad-host"), help="logs of a run that failed"
    )
    return parser.parse_args()


def main():
    options = arguments()
    cases = options.case or (ALL if options.all else STANDING)
    configuration = "".join(line + "\n" for line in options.ours)
    payload, digest = make_payload(options)
    network = Network(options.hosts + 1, Link(options.rate))
    went_well = True

    def median_of(name, fault):
        nonlocal went_well
        times = []
        for _ in range(options.runs):
            try:
                seconds, wrong = measure(
                    configuration, fault, network, payload, digest, options.logs
                )
            except Failed as failure:
                print(f"{name}: {failure}", flush=True)
                went_well = False
                continue
            went_well = went_well and not wrong
            times.append(seconds)
            print(f"{name}: {seconds:.1f} s{' WRONG: ' + ' '.join(wrong) if wrong else ''}", flush=True)
        return statistics.median(times) if times else None

    undisturbed = median_of("undisturbed", None)
    if undisturbed is None:
        return 1
    most = MOST_TIMES * undisturbed + MOST_SECONDS
    rows = [f"undisturbed    {undisturbed:.1f} s; at most {most:.1f} s"]
    for case in cases:
        seconds = median_of(case, Fault(case, undisturbed))
        is_good = seconds is not None and seconds <= most
        went_well = went_well and is_good
        shown = f"{seconds:.1f} s, {seconds / undisturbed:.2f} x" if seconds else "never"
        rows.append(f"{case:<14} {shown}{'' if is_good else '  TOO LONG'}")
    print("\n".join(rows))
    return 0 if went_well else 1


sys.exit(main())
