# SPDX-License-Identifier: BSD-2-Clause
"""A challenger by hand: HTTP over one kept TLS connection, or over a unix socket, with little of its own in the
way, so that what takes time is the server."""
import json
import secrets
import socket
import ssl


class Refused(Exception):
    """An HTTP status other than 200."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body.decode(errors='replace').strip()}")
        self.status = status


class Challenger:
    def __init__(self, place, source=None, certificate=None, timeout=30):
        """place: (address, port), or the path of a socket; source: an address of ours; certificate: (file, key)."""
        self.place, self.source, self.certificate, self.timeout = place, source, certificate, timeout
        self.connection = None
        self.rest = b""
        self.sent = self.received = 0   # bytes of HTTP

    def connect(self):
        self.close()
        if isinstance(self.place, tuple):
            plain = socket.create_connection(self.place, self.timeout, (self.source, 0) if self.source else None)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if self.certificate:
                context.load_cert_chain(*self.certificate)
            self.connection = context.wrap_socket(plain)
        else:
            self.connection = socket.socket(socket.AF_UNIX)
            self.connection.settimeout(self.timeout)
            self.connection.connect(str(self.place))
        return self

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection, self.rest = None, b""

    def more(self):
        data = self.connection.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.received += len(data)
        self.rest += data

    def take(self, count):
        while len(self.rest) < count:
            self.more()
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def take_line(self):
        while b"\r\n" not in self.rest:
            self.more()
        line, self.rest = self.rest.split(b"\r\n", 1)
        return line

    def take_chunks(self):
        body = b""
        while size := int(self.take_line().split(b";")[0], 16):
            body += self.take(size)
            self.take(2)
        while self.take_line():
            pass
        return body

    def request(self, method, path, body=b""):
        """The body of the answer; Refused unless it is 200."""
        if not self.connection:
            self.connect()
        head = f"{method} {path} HTTP/1.1\r\nHost: attester\r\n"
        if method == "POST":
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        message = head.encode() + b"\r\n" + body
        self.sent += len(message)
        self.connection.sendall(message)
        status = int(self.take_line().split()[1])
        headers = {}
        while line := self.take_line():
            name, value = line.split(b":", 1)
            headers[name.strip().lower()] = value.strip().lower()
        if headers.get(b"transfer-encoding") == b"chunked":
            answer = self.take_chunks()
        else:
            answer = self.take(int(headers.get(b"content-length", 0)))
        if headers.get(b"connection") == b"close":
            self.close()
        if status != 200:
            raise Refused(status, answer)
        return answer

    def attest(self, since=None):
        """Evidence for a nonce of ours: (nonce, evidence)."""
        nonce = secrets.token_hex(32)
        asked = {"nonce": nonce, **({"since": since} if since else {})}
        return nonce, self.request("POST", "/v1/attest", json.dumps(asked, separators=(",", ":")).encode())
