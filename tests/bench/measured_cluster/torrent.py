"""BitTorrent: libtorrent and aria2, with the settings of a swarm on a LAN."""

import base64
import json
import select
import sys
import time
import urllib.request
from pathlib import Path

from network import BRIDGE_ADDRESS
from one_source import wait_for_port
from processes import Failed

HERE = Path(__file__).parent
PORT = 6881
TRACKER_PORT = 6969
RPC_PORT = 6800

# These settings suit one torrent on a LAN. TCP before uTP, no limits and fixed slots come from
# libtorrent's tuning manual (docs/tuning.rst, "high performance seeding"). To serve the fastest
# first is the advice of qbittorrent/qBittorrent#12162. All peers are known, so there is no
# discovery. The session chooses its peers anew often enough for a run of seconds.
# high_performance_seed() itself is for many slow peers, and slower here.
LAN_SETTINGS = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    "mixed_mode_algorithm": 0,
    "rate_limit_ip_overhead": False,
    "allow_multiple_connections_per_ip": True,
    "smooth_connects": False,
    "connection_speed": 500,
    "torrent_connect_boost": 200,
    "connections_limit": 8000,
    "peer_turnover_interval": 3600,
    "unchoke_interval": 1,
    "optimistic_unchoke_interval": 2,
    "seed_choking_algorithm": 1,
    "in_enc_policy": 2,
    "out_enc_policy": 2,
    "no_atime_storage": True,
    "initial_picker_threshold": 0,
    "aio_threads": 2,
    # Trials on these links found these three. With few open requests, libtorrent chooses a piece
    # when its source can send it, and not seconds before. Several sources may share a piece.
    "request_queue_time": 1,
    "max_out_request_queue": 8,
    "whole_pieces_threshold": 0,
}


def make_torrent(stage, piece_bytes, announce=None):
    import libtorrent  # Here, because --help must work without the package.

    files = libtorrent.file_storage()
    libtorrent.add_files(files, str(stage.payload))
    made = libtorrent.create_torrent(files, piece_bytes, libtorrent.create_torrent.v1_only)
    if announce:
        made.add_tracker(announce)
    libtorrent.set_piece_hashes(made, str(stage.payload.parent))
    path = stage.folder / "payload.torrent"
    path.write_bytes(libtorrent.bencode(made.generate()))
    return path


class LibTorrent:
    measured = (
        "from the word to connect, all sessions listening with the torrent loaded, until the "
        "last one "
        "has checked its last piece; making and handing out the torrent is left out, in its favour"
    )

    def __init__(
        self,
        name="libtorrent",
        title="BitTorrent (libtorrent)",
        piece_kib=64,
        slots=8,
        super_seeding=False,
    ):
        self.name, self.title = name, title
        self._piece_bytes = piece_kib * 1024
        self._options = {
            "super_seeding": super_seeding,
            "settings": {**LAN_SETTINGS, "unchoke_slots_limit": slots},
        }
        self.settings = (
            f"libtorrent 2.0.8, {piece_kib} KiB pieces, every peer connected to every other "
            f"directly, "
            + json.dumps(self._options)
        )

    def longest(self, hosts):
        return 5

    def prepare(self, stage):
        self._stage = stage
        torrent = make_torrent(stage, self._piece_bytes)
        hosts = [stage.origin, *stage.receivers]
        self._peers = []
        for number, host in enumerate(hosts):
            folder = stage.payload.parent if number == 0 else stage.folder / host.name
            folder.mkdir(exist_ok=True)
            # Only one end connects. Otherwise both would, and close one of two connections.
            earlier = [other.address for other in hosts[:number]]
            self._peers.append(
                stage.processes.start(
                    host,
                    "/usr/bin/python3",
                    str(HERE / "swarm_peer.py"),
                    host.address,
                    str(torrent),
                    str(folder),
                    json.dumps(self._options),
                    *earlier,
                    name=f"peer-{host.name}",
                    pipes=True,
                )
            )
        for peer in self._peers:
            self._expect(peer, "ready", time.monotonic() + 40)

    def _expect(self, peer, word, deadline):
        ready, _, _ = select.select([peer.stdout], [], [], max(0.01, deadline - time.monotonic()))
        line = peer.stdout.readline().strip() if ready else "nothing in time"
        if line != word:
            raise Failed(
                f"{peer.name} printed {line or 'nothing'}: {self._stage.processes.log_of(peer)}"
            )

    def go(self, deadline):
        receivers = self._peers[1:]
        for peer in receivers:
            peer.stdin.write("go\n")
            peer.stdin.flush()
        for peer in receivers:
            self._expect(peer, "done", deadline)

    def copy_of(self, host):
        return self._stage.folder / host.name / self._stage.payload.name


class Aria2:
    name = "aria2"
    title = "BitTorrent (aria2)"
    measured = (
        "from adding the torrent by RPC to all running clients at once until the last one's "
        "download-complete hook has run; the tracker, the torrent and the seeding origin wait "
        "already"
    )
    # aria2(1): 0 is no limit of peers. Below the speed limit a client asks for more peers. It asks
    # the tracker every second. DHT is off; peer exchange and local discovery are on.
    flags = (
        "--enable-dht=false",
        "--enable-dht6=false",
        "--enable-peer-exchange=true",
        "--bt-enable-lpd=true",
        "--bt-max-peers=0",
        "--bt-request-peer-speed-limit=1000M",
        "--bt-tracker-interval=1",
        "--bt-min-crypto-level=plain",
        "--file-allocation=none",
        "--disk-cache=64M",
        "--seed-ratio=0",
        "--max-overall-upload-limit=0",
        "--min-split-size=1M",
        "--bt-max-open-files=100",
    )

    def __init__(self, piece_kib=64):
        self._piece_bytes = piece_kib * 1024
        self.settings = (
            f"aria2 1.36.0, {piece_kib} KiB pieces, an HTTP tracker beside the bridge, "
            f"{' '.join(self.flags)}"
        )

    def longest(self, hosts):
        return 8

    def prepare(self, stage):
        self._stage = stage
        torrent = make_torrent(
            stage, self._piece_bytes, f"http://{BRIDGE_ADDRESS}:{TRACKER_PORT}/announce"
        )
        stage.processes.start(
            None,
            sys.executable,
            str(HERE / "tracker.py"),
            BRIDGE_ADDRESS,
            str(TRACKER_PORT),
            name="tracker",
        )
        wait_for_port(BRIDGE_ADDRESS, TRACKER_PORT)
        hook = stage.folder / "complete"
        hook.write_text('#!/bin/sh\n: >"$(dirname "$3").complete"\n', encoding="ascii")
        hook.chmod(0o755)
        for host in (stage.origin, *stage.receivers):
            folder = stage.payload.parent if host is stage.origin else stage.folder / host.name
            folder.mkdir(exist_ok=True)
            first = (
                (f"--torrent-file={torrent}", "--bt-seed-unverified=true")
                if host is stage.origin
                else (
                    "--enable-rpc=true",
                    "--rpc-listen-all=true",
                    f"--rpc-listen-port={RPC_PORT}",
                    f"--on-bt-download-complete={hook}",
                )
            )
            stage.processes.start(
                host,
                "aria2c",
                "--no-conf=true",
                "--quiet=true",
                f"--dir={folder}",
                *self.flags,
                f"--listen-port={PORT}",
                f"--bt-lpd-interface={host.address}",
                *first,
                name=f"aria2-{host.name}",
            )
        for host in stage.receivers:
            wait_for_port(host.address, RPC_PORT)
        self._request = json.dumps(
            {
                "jsonrpc": "2.0",
                "id": "0",
                "method": "aria2.addTorrent",
                "params": [base64.b64encode(torrent.read_bytes()).decode()],
            }
        ).encode()

    def go(self, deadline):
        stage = self._stage
        for host in stage.receivers:
            with urllib.request.urlopen(
                f"http://{host.address}:{RPC_PORT}/jsonrpc", self._request, 10
            ) as answer:
                answer.read()
        late = list(stage.receivers)
        while late:
            late = [host for host in late if not (stage.folder / f"{host.name}.complete").exists()]
            if time.monotonic() > deadline:
                raise Failed(f"{len(late)} of {len(stage.receivers)} hosts were not done in time")
            time.sleep(0.01)

    def copy_of(self, host):
        return self._stage.folder / host.name / self._stage.payload.name
