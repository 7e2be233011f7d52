"""One libtorrent session on one host, told what to do on standard input.

  swarm_peer.py ADDRESS TORRENT FOLDER SETTINGS_JSON [PEER_ADDRESS…]

With the payload in FOLDER it seeds. Says `ready` once it listens; a receiver then waits for `go`,
connects to the peers named, and says `done` when it has all pieces, each checked against the
torrent's hashes. It serves on until standard input closes.
"""

import json
import sys
import time

import libtorrent

PORT = 6881


def main():
    address, torrent, folder, settings, *peers = sys.argv[1:]
    options = json.loads(settings)
    is_seed = not peers
    pack = {
        **options["settings"],
        "listen_interfaces": f"{address}:{PORT}",
        "alert_mask": libtorrent.alert.category_t.status_notification,
    }
    session = libtorrent.session(pack)
    flags = libtorrent.torrent_flags
    parameters = libtorrent.add_torrent_params()
    parameters.ti = libtorrent.torrent_info(torrent)
    parameters.save_path = folder
    parameters.flags &= ~(flags.auto_managed | flags.paused)
    if is_seed:
        parameters.flags |= flags.seed_mode
        if options["super_seeding"]:
            parameters.flags |= flags.super_seeding
    handle = session.add_torrent(parameters)
    wait_until(
        lambda: session.is_listening()
        and handle.status().state
        in (libtorrent.torrent_status.downloading, libtorrent.torrent_status.seeding)
    )
    print("ready", flush=True)
    if not is_seed:
        sys.stdin.readline()
        for peer in peers:
            handle.connect_peer((peer, PORT))
        # The alert comes at once; the look every 100 ms is for one that came before it was waited
        # for.
        while not handle.status().is_seeding:
            session.wait_for_alert(100)
            session.pop_alerts()
        print("done", flush=True)
    while sys.stdin.readline():
        pass


def wait_until(is_so):
    until = time.monotonic() + 20
    while not is_so():
        if time.monotonic() > until:
            sys.exit("the session did not come up")
        time.sleep(0.02)


main()
