"""Shows where the time of a run of ours goes, by the calls of Redis and the load of the links."""

import collections
import re
import statistics
import subprocess
import threading
import time

from network import BRIDGE_ADDRESS, port_bytes
from redis_client import Redis

SAMPLE_SECONDS = 0.1
TENTHS = 10
# A line of MONITOR holds the time, the client, and words in quotes. The client of a command that a
# function calls is `lua`.
MONITORED = re.compile(r"^(\d+\.\d+) \[\d+ (\S+)\] (.*)$")
WORD = re.compile(r'"((?:[^"\\]|\\.)*)"')

Claim = collections.namedtuple("Claim", "puller source pieces granted over")


class Trace:
    """Records a run. MONITOR costs Redis some of its speed, so only --trace does this."""

    def __init__(self, out):
        self._out = out

    def start(self, stage):
        self._stage = stage
        self._monitored = self._out / "monitor.txt"
        with open(self._monitored, "wb") as file:
            self._monitor = subprocess.Popen(
                ("redis-cli", "-h", BRIDGE_ADDRESS, "monitor"), stdout=file
            )
        self._samples = []
        self._running = True
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        time.sleep(0.3)

    def _sample(self):
        hosts = [self._stage.origin, *self._stage.receivers]
        while self._running:
            self._samples.append((time.time(), [port_bytes(host) for host in hosts]))
            time.sleep(SAMPLE_SECONDS)

    def stop(self, started, finished):
        self._running = False
        self._sampler.join()
        self._monitor.terminate()
        self._monitor.wait()
        redis = Redis(BRIDGE_ADDRESS)
        usage = dict(line.split(":", 1) for line in redis.ask("INFO", "cpu").split() if ":" in line)
        redis.close()
        lines = [
            *self._links(started, max(finished.values())),
            *self._claims(started, finished),
            f"redis-server used "
            f"{float(usage['used_cpu_user']) + float(usage['used_cpu_sys']):.2f} CPU s in all",
        ]
        print("\n".join("  trace: " + line for line in lines), flush=True)

    def _links(self, started, ended):
        """The load of the links in each tenth of the run."""
        width = (ended - started) / TENTHS
        received, sent, origin = [], [], []
        for tenth in range(TENTHS):
            first, last = (
                min(self._samples, key=lambda sample, at=at: abs(sample[0] - at))
                for at in (started + tenth * width, started + (tenth + 1) * width)
            )
            line = self._stage.link.bytes_per_second * max(last[0] - first[0], 1e-3)
            moved = [
                [after[way] - before[way] for before, after in zip(first[1], last[1])]
                for way in (0, 1)
            ]
            received.append(100 * statistics.mean(moved[0][1:]) / line)
            sent.append(100 * statistics.mean(moved[1]) / line)
            origin.append(100 * moved[1][0] / line)
        return [
            f"{name} in % of the link, by tenths of the run: "
            + " ".join(f"{value:.0f}" for value in values)
            for name, values in (
                ("receivers receive", received),
                ("all send", sent),
                ("the origin sends", origin),
            )
        ]

    def _claims(self, started, finished):
        open_claims, claims, calls, announced, waits = (
            {},
            [],
            collections.Counter(),
            [],
            collections.Counter(),
        )
        origin = OriginPieces(self._stage.origin.address)
        for at, client, words in self._lines():
            if client != "lua":
                if words[0].upper() == "FCALL":
                    calls[words[1].partition("_")[2]] += 1
            elif words[:2] == ["HSET", "sync:claims"]:
                puller, source, *listed = words[3].split()
                pieces = listed[0].split(",") if listed else []
                origin.claimed(source, pieces, at - started)
                open_claims[words[2]] = (at, puller, source, pieces)
            elif words[:2] == ["HDEL", "sync:claims"] and words[2] in open_claims:
                granted, puller, source, pieces = open_claims.pop(words[2])
                origin.over(pieces)
                claims.append(Claim(puller, source, len(pieces), granted, at))
            elif words[:2] == ["SETRANGE", "sync:digests"]:
                announced.append(at)
            elif words[:2] == ["HSET", "sync:waiting"]:
                waits[words[2]] += 1
        if not claims:
            return ["Redis granted no claim"]
        lines = [
            f"calls of Redis functions: {dict(calls)}, {sum(waits.values())} answers to wait",
            f"pieces announced from {announced[0] - started:.2f} to {announced[-1] - started:.2f} s"
            if announced
            else "",
        ]
        for pieces in sorted({claim.pieces for claim in claims}):
            spans = [claim.over - claim.granted for claim in claims if claim.pieces == pieces]
            lines.append(
                f"claims of {pieces} pieces: {len(spans)}, held for "
                f"{statistics.median(spans):.2f} s (median), "
                f"{max(spans):.2f} s (longest)"
            )
        firsts, lasts, tails, held = [], [], [], collections.Counter()
        for host, end in finished.items():
            own = [claim for claim in claims if claim.puller == host]
            first, last = min(claim.granted for claim in own), max(claim.over for claim in own)
            firsts.append(min(claim.over for claim in own if claim.pieces) - started)
            lasts.append(last - started)
            tails.append(end - last)
            held.update(_time_by_claims_held(own, first, last))
        whole = sum(held.values())
        return lines + [
            origin.sentence(),
            f"first piece verified at {min(firsts):.2f} s (first host), {max(firsts):.2f} s "
            f"(last host)",
            f"last piece verified at {min(lasts):.2f} s (first host), "
            f"{statistics.median(lasts):.2f} s (median), "
            f"{max(lasts):.2f} s (last host); from there to finished "
            f"{statistics.median(tails):.2f} s (median), "
            f"{max(tails):.2f} s (longest)",
            "share of a host's time, first claim to last piece, by claims held: "
            + ", ".join(
                f"{count}: {100 * span / whole:.0f} %" for count, span in sorted(held.items())
            ),
        ]

    def _lines(self):
        with open(self._monitored, encoding="utf-8", errors="replace") as file:
            for line in file:
                match = MONITORED.match(line)
                if match:
                    yield float(match[1]), match[2], WORD.findall(match[3])


class OriginPieces:
    """Counts the pieces claimed from the origin: new ones, and those held or pulled elsewhere."""

    def __init__(self, address):
        self._address = address
        self._held, self._coming = set(), collections.Counter()
        self._kinds, self._fresh_at = collections.Counter(), []

    def claimed(self, source, pieces, at):
        for piece in pieces:
            if source == self._address:
                kind = (
                    "held elsewhere"
                    if piece in self._held
                    else "on the way"
                    if self._coming[piece]
                    else "new"
                )
                self._kinds[kind] += 1
                if kind == "new":
                    self._fresh_at.append(at)
            self._coming[piece] += 1

    def over(self, pieces):
        self._held.update(pieces)
        self._coming.subtract(pieces)

    def sentence(self):
        return (
            f"pieces claimed from the origin: {dict(self._kinds)}; the last new one at "
            f"{self._fresh_at[-1]:.2f} s"
            if self._fresh_at
            else "no host claimed a new piece from the origin"
        )


def _time_by_claims_held(claims, first, last):
    changes = sorted(
        [(claim.granted, 1) for claim in claims] + [(claim.over, -1) for claim in claims]
    )
    spans, held, since = collections.Counter(), 0, first
    for at, change in changes:
        spans[held] += at - since
        held, since = held + change, at
    return spans
