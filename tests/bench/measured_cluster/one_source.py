"""One rsync source for all. Salt, Ansible, prsync and a shell loop amount to this."""

import os
import socket
import time

from processes import Failed


def start_rsyncd(processes, host, folder, exported):
    """Starts a read-only daemon without a password, and returns its module's URL."""
    config = folder / f"rsyncd-{host.name}.conf"
    # Both ends set TCP_NODELAY, like ours. Without it every pull loses 100 ms.
    config.write_text(
        f"pid file = {folder}/rsyncd-{host.name}.pid\nsocket options = TCP_NODELAY\nuse chroot = "
        f"no\n"
        f"reverse lookup = no\n[data]\npath = {exported}\nuid = root\ngid = root\n"
    )
    processes.start(
        host,
        "rsync",
        "--daemon",
        "--no-detach",
        f"--address={host.address}",
        "--port=8730",
        f"--config={config}",
        name=f"rsyncd-{host.name}",
    )
    return f"rsync://{host.address}:8730/data"


def wait_for_port(address, port, seconds=10):
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((address, port), timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > until:
                raise Failed(f"nothing listens on {address}:{port}: {error}") from None
            time.sleep(0.05)


class OneSource:
    name = "one-source"
    title = "one rsync source for all"
    settings = "rsync daemon with TCP_NODELAY at both ends; all hosts pull at once"
    measured = (
        "from the start of all pulls to the end of the last one (rsync checks what it received)"
    )

    def longest(self, hosts):
        return hosts * 1.3

    def prepare(self, stage):
        self._stage = stage
        self._url = start_rsyncd(stage.processes, stage.origin, stage.folder, stage.payload.parent)
        wait_for_port(stage.origin.address, 8730)
        for host in stage.receivers:
            os.mkdir(stage.folder / host.name)

    def go(self, deadline):
        stage = self._stage
        pulls = [
            stage.processes.start(
                host,
                "rsync",
                "--times",
                "--whole-file",
                "--sockopts=TCP_NODELAY",
                f"{self._url}/{stage.payload.name}",
                f"{stage.folder / host.name}/",
                name=f"pull-{host.name}",
            )
            for host in stage.receivers
        ]
        stage.processes.wait_all(pulls, deadline)

    def copy_of(self, host):
        return self._stage.folder / host.name / self._stage.payload.name
