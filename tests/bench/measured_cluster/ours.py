"""sync-fanout, with the shipped files. The bench sets the task as an operator does."""

import os
import subprocess
import time
from pathlib import Path

from network import BRIDGE_ADDRESS, run
from one_source import wait_for_port
from processes import Failed
from redis_client import Redis

SUPPORT = Path(__file__).parents[2] / "support"
LINGER = "3000s"


class Ours:
    measured = (
        "from the start of `redis-cli set task` to the moment at which Redis learned that the last "
        "host has published its copy: staging by the master, digests and renames are included"
    )

    def __init__(self, name, title, settings, configuration, rounds, trace=None):
        self.name, self.title, self.settings = name, title, settings
        self._configuration = configuration
        self._rounds = rounds
        self._trace = trace

    def longest(self, hosts):
        return self._rounds(hosts) * 1.6

    def prepare(self, stage):
        self._stage = stage
        stage.processes.start(
            None,
            "redis-server",
            "--bind",
            BRIDGE_ADDRESS,
            "--port",
            "6379",
            "--protected-mode",
            "no",
            "--save",
            "",
            "--dir",
            str(stage.folder),
            name="redis",
        )
        wait_for_port(BRIDGE_ADDRESS, 6379)
        self._redis = Redis(BRIDGE_ADDRESS)
        hosts = [stage.origin, *stage.receivers]
        for host in hosts:
            self._make(host)
        for host in hosts:
            wait_for_port(host.address, 8730)
        for host in hosts:
            self._start(host, "master" if host is stage.origin else "minion")
        until = time.monotonic() + 30
        while self._redis.ask("ZCARD", "sync:minions") < len(stage.receivers):
            if time.monotonic() > until:
                raise Failed("not all minions came up")
            time.sleep(0.05)

    def _make(self, host):
        stage = self._stage
        folder = stage.folder / host.name
        run(
            str(SUPPORT / "make_host"),
            str(folder),
            host.address,
            f"redis://{BRIDGE_ADDRESS}:6379/0",
            str(stage.payload.parent),
            env={**os.environ, "LINGER": LINGER, "ALLOW": "10.77.0.0/16"},
        )
        with open(folder / "sync.toml", "a", encoding="utf-8") as toml:
            toml.write(f"minions = {len(stage.receivers)}\n{self._configuration}")
        stage.processes.start(
            host,
            "rsync",
            "--daemon",
            "--no-detach",
            f"--config={folder}/rsyncd.conf",
            name=f"rsyncd-{host.name}",
        )

    def _start(self, host, role):
        folder = self._stage.folder / host.name
        environment = {**os.environ, "PATH": f"{os.environ['PROGRAMS']}:{os.environ['PATH']}"}
        self._stage.processes.start(
            host,
            "sh",
            str(folder / f"{role}.sh"),
            name=f"{role}-{host.name}",
            environment=environment,
        )

    def _set_task(self):
        """Sets the task, and returns the time before."""
        started = time.time()
        subprocess.run(
            ("redis-cli", "-h", BRIDGE_ADDRESS, "set", "task", str(self._stage.payload)),
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return started

    def go(self, deadline):
        if self._trace:
            self._trace.start(self._stage)
        started = self._set_task()
        finished, last = {}, "0"
        while len(finished) < len(self._stage.receivers):
            events, last = self._redis.events_after(last, 1000)
            for at, fields in events:
                if fields["event"] == "finished":
                    finished[fields["host"]] = at
                elif fields["event"] in ("refused", "ended"):
                    raise Failed(f"the run ended early: {fields}")
            if time.monotonic() > deadline:
                raise Failed(f"only {len(finished)} hosts finished in time; {self._last_words()}")
        if self._trace:
            self._trace.stop(started, finished)
        return max(finished.values()) - started

    def _last_words(self):
        late = [host for host in self._stage.receivers if not self.copy_of(host).exists()]
        log = self._stage.folder / late[0].name / "minion.log" if late else None
        return f"{late[0].name}: {log.read_text().splitlines()[-1]}" if log and log.exists() else ""

    def copy_of(self, host):
        return self._stage.folder / host.name / "repo" / self._stage.payload.name
