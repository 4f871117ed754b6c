"""What the signature adds to a message: sealing and proving, beside the same message without, in one run.

Both ways are taken alternately in batches over one heartbeat, the most frequent message. The receiver proves with the
conductor's real keyring: a look-up in a SQLite database on disk for each message.

    bench/signature [--messages N] [--json]
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from common.conductor_api import INTERFACE
from common.dispatch import encode_arguments
from common.envelope import Envelope, open_envelope, prove, seal
from common.facts import Heartbeat
from common.identity import Identity, Kind, Principal, PrivateKey
from common.wire import to_primitive
from conductor.db import keys
from conductor.db.engine import Database
from conductor.keyring import RegisteredKeys

BATCH = 100
MS_PER_S = 1000.0
HOST = Principal(kind=Kind.HOST, name="compute1")
HEARTBEAT = Heartbeat(host=HOST.name, start_id="1", sequence=1, hypervisor_age_s=0.1, interval_s=5.0)


def main() -> int:
    options = _options()
    identity = Identity(principal=HOST, key=PrivateKey.generate())
    with tempfile.TemporaryDirectory() as directory:
        database = Database(f"sqlite:///{Path(directory) / 'bench.sqlite'}")
        try:
            pem = identity.key.public.to_pem()
            database.transact(lambda session: keys.add_host(session, HOST.name, pem))
            keyring = RegisteredKeys(database, own=PrivateKey.generate().public)
            signed = _sealed(identity)
            ways: dict[str, Callable[[], object]] = {
                "sender, without": lambda: _unsigned(identity),
                "sender, signed": lambda: _sealed(identity),
                "receiver, without": lambda: open_envelope(signed),
                "receiver, proven": lambda: prove(open_envelope(signed), keyring),
            }
            figures = _measure(ways, messages=options.messages)
        finally:
            database.close()
    _tell(figures, as_json=options.json)
    return 0


def _sealed(identity: Identity) -> dict[str, object]:
    return seal(
        encode_arguments((HEARTBEAT,)),
        identity=identity,
        audience=INTERFACE.topic,
        interface=INTERFACE,
        method="heartbeat",
    )


def _unsigned(identity: Identity) -> object:
    """The same envelope, as far as it can be made without a key."""
    envelope = Envelope(
        signer=str(identity.principal),
        audience=INTERFACE.topic,
        request_id="req-0",
        sent_at=time.time(),
        interface=INTERFACE.name,
        version=INTERFACE.version,
        method="heartbeat",
        payload=encode_arguments((HEARTBEAT,)),
    )
    return to_primitive(replace(envelope, signature=""))


def _measure(ways: dict[str, Callable[[], object]], *, messages: int) -> dict[str, float]:
    """Median milliseconds of one message, of batches that are taken in turn."""
    batches: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(max(1, messages // BATCH)):
        for name, way in ways.items():
            started = time.perf_counter()
            for _ in range(BATCH):
                way()
            batches[name].append((time.perf_counter() - started) / BATCH * MS_PER_S)
    return {name: statistics.median(times) for name, times in batches.items()}


def _tell(figures: dict[str, float], *, as_json: bool) -> None:
    sending = figures["sender, signed"] - figures["sender, without"]
    receiving = figures["receiver, proven"] - figures["receiver, without"]
    added = {"sender_ms": sending, "receiver_ms": receiving, "message_ms": sending + receiving}
    if as_json:
        print(json.dumps({"benchmark": "signature", "median_ms": figures, "added": added}))
        return
    for name, ms in figures.items():
        print(f"{name:20} {ms:.3f} ms")
    print(
        f"a signature adds {sending:.3f} ms to sending, {receiving:.3f} ms to receiving: {added['message_ms']:.3f} ms"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/signature", description="What the signature adds to a message."
    )
    parser.add_argument("--messages", type=int, default=5_000, metavar="N")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
