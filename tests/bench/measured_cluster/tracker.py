"""A BitTorrent tracker (BEP 3, answers as in BEP 23) of one swarm. A peer gets all others."""

import http.server
import socket
import sys
import urllib.parse

peers = {}


class Tracker(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query, encoding="latin-1")
        here = self.client_address[0]
        peers[here] = socket.inet_aton(here) + int(asked["port"][0]).to_bytes(2, "big")
        others = b"".join(packed for address, packed in peers.items() if address != here)
        body = b"d8:intervali1e12:min intervali1e5:peers%d:%se" % (len(others), others)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Tracker).serve_forever()
