"""Hosts in network namespaces on one bridge, their links shaped to equal rates both ways.

Runs inside the private network, mount and process namespaces that ./tests/bench/cluster makes: what
is made here vanishes with them, whatever happens.
"""

import dataclasses
import subprocess

BRIDGE_ADDRESS = "10.77.0.1"


@dataclasses.dataclass(frozen=True)
class Link:
    """What a host's link is like, in both directions alike."""

    megabit: float
    # Whole packets that a token bucket lets through at once. Smaller needs more timer interrupts.
    burst_bytes: int = 8 * 1514
    # What a port of the switch holds for its host, in time; senders back off when it is full. Some
    # dozen packets at these rates, where a gigabit switch holds hundreds: with fewer, flows that
    # meet at a host lose 6 % of what they send, which they do not on a LAN. Small packets do not
    # wait for it (small_first): a pull of 1 kB beside bulk takes as long with 6 ms as with 50.
    queue_ms: float = 25.0
    # What a host's own queue holds, Linux's default txqueuelen: a socket is held back, not dropped
    # from.
    own_queue_bytes: int = 1000 * 1514
    small_first: bool = True
    congestion: str = "cubic"

    @property
    def bytes_per_second(self):
        return self.megabit * 1e6 / 8

    @property
    def queue_bytes(self):
        return max(8 * 1514, int(self.bytes_per_second * self.queue_ms / 1000))


def run(*words, **options):
    done = subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout.strip()}")
    return done.stdout


class Host:
    def __init__(self, number):
        self.number = number
        self.name = f"h{number}"
        self.port = f"p{number}"
        self.address = f"10.77.{1 + number // 200}.{1 + number % 200}"

    def inside(self, *words):
        """The words of a command that runs on this host."""
        return ("nsenter", f"--net=/run/netns/{self.name}", "--", *words)


class Network:
    def __init__(self, count, link):
        self.link = link
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0", "stp_state", "0")
        run("ip", "addr", "add", f"{BRIDGE_ADDRESS}/16", "dev", "br0")
        run("ip", "link", "set", "br0", "up")
        self.hosts = [self._add_host(number) for number in range(count)]

    def _add_host(self, number):
        host = Host(number)
        run("ip", "netns", "add", host.name)
        run(
            "ip",
            "link",
            "add",
            host.port,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            host.name,
        )
        run("ip", "link", "set", host.port, "master", "br0", "up")
        run(*host.inside("ip", "link", "set", "lo", "up"))
        run(*host.inside("ip", "addr", "add", f"{host.address}/16", "brd", "+", "dev", "eth0"))
        run(*host.inside("ip", "link", "set", "eth0", "up"))
        run(*host.inside("ip", "route", "add", "224.0.0.0/4", "dev", "eth0"))
        # By route, since only the first namespace of a machine may change the default to any other.
        run(
            *host.inside(
                "ip",
                "route",
                "replace",
                "10.77.0.0/16",
                "dev",
                "eth0",
                "proto",
                "kernel",
                "scope",
                "link",
                "src",
                host.address,
                "congctl",
                self.link.congestion,
            )
        )
        for prefix, device in ((host.inside(), "eth0"), ((), host.port)):
            # A segment of 64 kB, as offloads make them, does not fit a queue of a LAN's delay.
            run(*prefix, "ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "off")
            self._shape(
                prefix,
                device,
                self.link.queue_bytes if device == host.port else self.link.own_queue_bytes,
            )
        return host

    def _shape(self, prefix, device, queue_bytes):
        def add(kind, settings):
            run(*prefix, "tc", kind, "add", "dev", device, *settings.split())

        link = self.link
        add(
            "qdisc",
            f"root handle 1: tbf rate {int(link.megabit * 1e6)}bit burst {link.burst_bytes} "
            f"limit {queue_bytes}",
        )
        if not link.small_first:
            return
        # Bare acknowledgements, handshakes and short questions of TCP go first, much as fq_codel,
        # Debian's default, lets flows that send little go first. Not of UDP: there the packets of
        # one flow would overtake each other, and udpcast takes that for loss. The htb under the
        # bucket shapes nothing: it is the only scheduler with priorities that this kernel has.
        add("qdisc", "parent 1:1 handle 2: htb default 20")
        for minor, priority in ((10, 0), (20, 1)):
            add(
                "class",
                f"parent 2: classid 2:{minor} htb rate 10gbit burst 1mb prio {priority}",
            )
            add("qdisc", f"parent 2:{minor} bfifo limit {queue_bytes}")
        # Protocol TCP, and a total length below 128.
        add(
            "filter",
            "parent 2: protocol ip prio 1 u32 match ip protocol 6 0xff "
            "match u16 0x0000 0xff80 at 2 flowid 2:10",
        )


def port_bytes(host):
    """Bytes that the host has received and sent, counted at its port of the bridge."""
    with open("/proc/net/dev", encoding="ascii") as table:
        for line in table:
            name, _, counters = line.partition(":")
            if name.strip() == host.port:
                words = counters.split()
                return int(words[8]), int(words[0])
    raise RuntimeError(f"no port {host.port}")
