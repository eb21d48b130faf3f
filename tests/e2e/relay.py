# SPDX-License-Identifier: BSD-2-Clause
"""relay.py ADDRESS:PORT TO-ADDRESS:PORT CERTIFICATE KEY COUNTS

A man in the middle: speaks TLS with both sides, each of which sees a certificate and a channel of its own, and
passes on what they say. COUNTS is written anew whenever a connection ends: a line for each there was, with the
bytes that the client sent and those that it was sent, as they are inside TLS. Says "ready" when it listens.
"""
import select
import socket
import ssl
import sys
import threading
from pathlib import Path

CHUNK = 65536
TIMEOUT_S = 30


def place(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


class Relay:
    def __init__(self, listen, to, certificate, key, counts=None):
        self.to, self.counts_path = place(to), counts
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(certificate, key)
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.client.check_hostname, self.client.verify_mode = False, ssl.CERT_NONE
        self.counts = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(place(listen))

    def copy(self, source, sink):
        """What there is to pass on now, in one direction: how many bytes, None at the end."""
        source.settimeout(0)
        try:
            data = source.recv(CHUNK)
        except ssl.SSLWantReadError:    # it was of TLS, not of what is said in it
            return 0
        sink.settimeout(TIMEOUT_S)
        sink.sendall(data)
        return len(data) or None

    def pass_on(self, front, back, count):
        """Both directions, by turns, for a TLS connection is no thing for two threads."""
        while True:
            ready = [end for end in (front, back) if end.pending()]
            ready = ready or select.select([front, back], [], [], TIMEOUT_S)[0]
            for source, sink, at in ((front, back, 0), (back, front, 1)):
                passed = self.copy(source, sink) if source in ready else 0
                if passed is None or not ready:
                    return
                count[at] += passed

    def serve(self, accepted):
        count = [0, 0]
        try:
            accepted.settimeout(TIMEOUT_S)
            with self.server.wrap_socket(accepted, server_side=True) as front, \
                    self.client.wrap_socket(socket.create_connection(self.to, TIMEOUT_S)) as back:
                self.pass_on(front, back, count)
        except OSError:
            accepted.close()
        with self.lock:
            self.counts.append(count)
            if self.counts_path:
                Path(self.counts_path).write_text("".join(f"{sent} {answered}\n" for sent, answered in self.counts))

    def run(self):
        while True:
            accepted, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(accepted,), daemon=True).start()

    def start(self):
        threading.Thread(target=self.run, daemon=True).start()
        return self


if __name__ == "__main__":
    relay = Relay(*sys.argv[1:])
    print("ready", flush=True)
    relay.run()
