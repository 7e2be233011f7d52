"""The part of the Redis protocol (RESP 2) that the bench needs."""

import socket


class Redis:
    def __init__(self, address, port=6379, timeout=10):
        self._socket = socket.create_connection((address, port), timeout=timeout)
        self._reader = self._socket.makefile("rb")

    def close(self):
        self._reader.close()
        self._socket.close()

    def ask(self, *words):
        encoded = [str(word).encode() for word in words]
        self._socket.sendall(
            b"*%d\r\n" % len(encoded)
            + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
        )
        return self._answer()

    def _answer(self):
        line = self._reader.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:].decode(errors="replace")
        if kind == b"-":
            raise RuntimeError(f"redis: {rest}")
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return (
                None
                if rest == "-1"
                else self._reader.read(int(rest) + 2)[:-2].decode(errors="replace")
            )
        if kind == b"*":
            return None if rest == "-1" else [self._answer() for _ in range(int(rest))]
        if kind != b"+":
            raise RuntimeError("redis closed the connection")
        return rest

    def events_after(self, last, milliseconds):
        """The new entries of sync:events (time since 1970 in seconds, fields), and the last id."""
        answer = self.ask("XREAD", "BLOCK", milliseconds, "STREAMS", "sync:events", last)
        events = []
        for entry, words in answer[0][1] if answer else []:
            events.append((int(entry.partition("-")[0]) / 1000, dict(zip(words[::2], words[1::2]))))
            last = entry
        return events, last
