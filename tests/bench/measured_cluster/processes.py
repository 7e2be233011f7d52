"""Processes on the hosts: their starts, their ends, and their processor time.

All of them live in the private process namespace of ./tests/bench/cluster. Its /proc shows no other
process.
"""

import os
import signal
import subprocess
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A method did not deliver; the text says why."""


class Processes:
    """The processes of one run of one method. end() ends them all."""

    def __init__(self, folder):
        self._folder = folder
        self._started = []
        # end() kills all processes of the namespace, so it must be the private one.
        if os.getppid() != 1:
            raise RuntimeError("run ./tests/bench/cluster, which makes the namespaces")

    def start(self, host, *words, name, pipes=False, environment=None):
        """Starts a command on a host, or beside the bridge if that is None. NAME.log gets its
        output."""
        log = open(self._folder / f"{name}.log", "ab")
        command = host.inside(*words) if host else words
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else log,
            stderr=log,
            cwd=self._folder,
            start_new_session=True,
            env=environment,
            text=True,
        )
        log.close()
        process.name = name
        self._started.append(process)
        return process

    def log_of(self, process):
        text = (self._folder / f"{process.name}.log").read_text(errors="replace").strip()
        return " / ".join(text.splitlines()[-3:])[-400:]

    def wait_all(self, processes, deadline):
        """Waits until all have ended with status 0."""
        for process in processes:
            try:
                status = process.wait(max(0.01, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise Failed(
                    f"{process.name} was not done in time: {self.log_of(process)}"
                ) from None
            if status != 0:
                raise Failed(f"{process.name} ended with status {status}: {self.log_of(process)}")

    def end(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in self._started:
                try:
                    os.killpg(process.pid, number)
                except ProcessLookupError:
                    pass
            patience = time.monotonic() + 3
            while _others() and time.monotonic() < patience:
                for process in self._started:
                    process.poll()
                time.sleep(0.02)
        # Some processes may have left their group.
        for pid in _others():
            os.kill(pid, signal.SIGKILL)
        for process in self._started:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()
        self._started.clear()


def _others():
    return [
        pid
        for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
        if pid not in (1, os.getpid())
    ]


def cpu_seconds():
    """The processor time of all processes but this one. Parents count their ended children."""
    ticks = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        own, waited_for = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
        ticks += waited_for + (0 if int(name) == os.getpid() else own)
    return ticks / TICKS_PER_SECOND


def machine_ticks():
    """The busy ticks of the machine, and all its ticks."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, idle, iowait, irq, softirq, steal = map(
            int, stat.readline().split()[1:9]
        )
    busy = user + nice + system + irq + softirq + steal
    return busy, busy + idle + iowait
