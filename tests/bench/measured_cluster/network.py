"""Hosts in network namespaces on one bridge. Their links have equal rates both ways.

./tests/bench/cluster makes private namespaces of network, mounts and processes. Hosts and links
vanish with them, whatever happens.
"""

import dataclasses
import subprocess

BRIDGE_ADDRESS = "10.77.0.1"


@dataclasses.dataclass(frozen=True)
class Link:
    """A host's link, alike in both directions."""

    megabit: float
    # The burst of a token bucket, in whole packets. A smaller one needs more timer interrupts.
    burst_bytes: int = 8 * 1514
    # A port of the switch queues this time's bytes for its host; senders back off when it is full.
    # At these rates that is some dozen packets, where a gigabit switch queues hundreds. With fewer,
    # flows that meet at a host lose 6 % of their packets, which they do not on a LAN. Small packets
    # pass the queue (small_first).
    queue_ms: float = 25.0
    # A host's own queue holds this much: Linux's default txqueuelen. A full one blocks the socket
    # and drops nothing.
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
        # The route sets the congestion control: only the machine's first namespace may set any
        # default.
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
            # Offloads make segments of 64 kB, which do not fit a queue with the delay of a LAN.
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
        # Bare acknowledgements, handshakes and short requests of TCP go first. fq_codel, Debian's
        # default, prefers flows that send little in much the same way. UDP has no such priority:
        # packets of one flow would overtake each other, which udpcast counts as loss. The htb under
        # the bucket shapes nothing: this kernel has no other scheduler with priorities.
        add("qdisc", "parent 1:1 handle 2: htb default 20")
        for minor, priority in ((10, 0), (20, 1)):
            add(
                "class",
                f"parent 2: classid 2:{minor} htb rate 10gbit burst 1mb prio {priority}",
            )
            add("qdisc", f"parent 2:{minor} bfifo limit {queue_bytes}")
        # The filter matches the protocol TCP, and a total length below 128.
        add(
            "filter",
            "parent 2: protocol ip prio 1 u32 match ip protocol 6 0xff "
            "match u16 0x0000 0xff80 at 2 flowid 2:10",
        )


def port_bytes(host):
    """The bytes that the host has received and sent, by its port of the bridge."""
    with open("/proc/net/dev", encoding="ascii") as table:
        for line in table:
            name, _, counters = line.partition(":")
            if name.strip() == host.port:
                words = counters.split()
                return int(words[8]), int(words[0])
    raise RuntimeError(f"no port {host.port}")
