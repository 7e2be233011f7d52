"""Multicast: udpcast and UFTP."""

import os
import time

from processes import Failed


class UdpCast:
    name = "udpcast"
    title = "multicast (udpcast)"
    measured = (
        "from the start of udp-sender, all receivers waiting, to the end of the last udp-receiver "
        "(it does not check what it wrote; the bench does, outside the time)"
    )

    def __init__(self, share=0.99):
        self._share = share
        # udp-sender(1): the rate includes headers and retransmissions. By default receivers
        # acknowledge, and the sender repeats every loss, so error correction would only add bytes.
        # Without repeated hellos the sender starts two seconds late.
        self._sender_flags = ("--full-duplex", "--nopointopoint", "--rexmit-hello-interval", "100")
        # A receiver waits half a second for neighbours that missed the end. A tenth is enough here.
        self._receiver_flags = ("--exit-wait", "100")
        self.settings = (
            f"udpcast 20120424, {' '.join(self._sender_flags)}, --max-bitrate {share:.0%} of the "
            f"link; "
            f"receivers {' '.join(self._receiver_flags)}"
        )

    def longest(self, hosts):
        return 4

    def prepare(self, stage):
        self._stage = stage
        self._receivers = []
        for host in stage.receivers:
            os.mkdir(stage.folder / host.name)
            self._receivers.append(
                stage.processes.start(
                    host,
                    "udp-receiver",
                    "--nokbd",
                    "--interface",
                    "eth0",
                    "--file",
                    str(self.copy_of(host)),
                    *self._receiver_flags,
                    name=f"udp-receiver-{host.name}",
                )
            )

    def go(self, deadline):
        started = time.monotonic()
        stage = self._stage
        rate = int(stage.link.megabit * 1e3 * self._share)
        sender = stage.processes.start(
            stage.origin,
            "udp-sender",
            "--nokbd",
            "--interface",
            "eth0",
            "--file",
            str(stage.payload),
            "--min-receivers",
            str(len(stage.receivers)),
            "--max-bitrate",
            f"{rate}k",
            *self._sender_flags,
            name="udp-sender",
        )
        stage.processes.wait_all(self._receivers, deadline)
        finished = time.monotonic()
        stage.processes.wait_all([sender], deadline)
        return finished - started

    def copy_of(self, host):
        return self._stage.folder / host.name / self._stage.payload.name


class Uftp:
    name = "uftp"
    title = "multicast (UFTP)"
    measured = (
        "from the start of uftp, all uftpd waiting, until the last one has moved the file into its "
        "destination folder (it has no check of contents; the bench does that, outside the time)"
    )

    def __init__(self, share=0.97):
        self._share = share
        # uftp(1): no encryption, and blocks that fill a packet. The round-trip estimate starts at
        # that of a LAN instead of 500 ms. The sender knows all receivers, and waits for no more.
        self._flags = ("-Y", "none", "-b", "1400", "-r", "0.02:0.005:0.1", "-s", "20")
        self.settings = (
            f"uftp 4.10.2, {' '.join(self._flags)}, -R {share:.0%} of the link, -H every receiver"
        )

    def longest(self, hosts):
        return 4

    def prepare(self, stage):
        self._stage = stage
        for host in stage.receivers:
            folder = stage.folder / host.name
            os.makedirs(folder / "temporary")
            os.makedirs(folder / "received")
            stage.processes.start(
                host,
                "uftpd",
                "-d",
                "-q",
                "-t",
                "-I",
                "eth0",
                "-D",
                str(folder / "received"),
                name=f"uftpd-{host.name}",
            )

    def go(self, deadline):
        started = time.monotonic()
        stage = self._stage
        rate = int(stage.link.megabit * 1e3 * self._share)
        identities = ",".join(
            "0x%02X%02X%02X%02X" % tuple(map(int, host.address.split(".")))
            for host in stage.receivers
        )
        sender = stage.processes.start(
            stage.origin,
            "uftp",
            "-I",
            "eth0",
            "-R",
            str(rate),
            *self._flags,
            "-H",
            identities,
            str(stage.payload),
            name="uftp",
        )
        late = list(stage.receivers)
        while late:
            late = [host for host in late if not self.copy_of(host).exists()]
            if sender.poll() and late:
                raise Failed(
                    f"uftp ended with status {sender.returncode}: {stage.processes.log_of(sender)}"
                )
            if time.monotonic() > deadline:
                raise Failed(
                    f"{len(late)} hosts had nothing in time: {stage.processes.log_of(sender)}"
                )
            time.sleep(0.01)
        finished = time.monotonic()
        stage.processes.wait_all([sender], deadline)
        return finished - started

    def copy_of(self, host):
        return self._stage.folder / host.name / "received" / self._stage.payload.name
