"""A broker that closes each connection as RabbitMQ does for a wrong password."""

import contextlib
import socketserver
import struct
import threading
from collections.abc import Iterator

_CONNECTION_CLASS = 10
_START = 10
_CLOSE = 50


@contextlib.contextmanager
def refusing_broker() -> Iterator[int]:
    """The port of it, on 127.0.0.1."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Refusal) as server:
        server.daemon_threads = True  # who still reads from us is not waited for
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


class _Refusal(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        capabilities = _field(b"authentication_failure_close", b"t", b"\1")
        properties = _long_string(_field(b"capabilities", b"F", _long_string(capabilities)))
        text = b"ACCESS_REFUSED - Login was refused"
        with contextlib.suppress(OSError):
            self.request.recv(8)  # AMQP 0.0.9.1
            self._method(
                _START, b"\0\x09" + properties + _long_string(b"AMQPLAIN PLAIN") + _long_string(b"en_US")
            )
            self.request.recv(4096)
            self._method(_CLOSE, struct.pack("!HB", 403, len(text)) + text + bytes(4))
            self.request.recv(4096)

    def _method(self, number: int, arguments: bytes) -> None:
        payload = struct.pack("!HH", _CONNECTION_CLASS, number) + arguments
        self.request.sendall(struct.pack("!BHI", 1, 0, len(payload)) + payload + b"\xce")


def _field(name: bytes, kind: bytes, value: bytes) -> bytes:
    """One field of an AMQP table."""
    return bytes([len(name)]) + name + kind + value


def _long_string(value: bytes) -> bytes:
    return struct.pack("!I", len(value)) + value
