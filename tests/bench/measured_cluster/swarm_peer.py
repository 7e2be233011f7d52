"""One libtorrent session on one host, with commands on standard input.

  swarm_peer.py ADDRESS TORRENT FOLDER SETTINGS_JSON [PEER_ADDRESS…]

Without peers it seeds the payload in FOLDER. It prints `ready` once it listens. A receiver then
waits for `go` and connects to its peers. It prints `done` when it has all pieces and has checked
their hashes. The session serves until standard input closes.
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
        # An alert ends the wait at once. The timeout of 100 ms covers alerts before the wait.
        while not handle.status().is_seeding:
            session.wait_for_alert(100)
            session.pop_alerts()
        print("done", flush=True)
    while sys.stdin.readline():
        pass


def wait_until(is_true):
    until = time.monotonic() + 20
    while not is_true():
        if time.monotonic() > until:
            sys.exit("the session did not come up")
        time.sleep(0.02)


main()
