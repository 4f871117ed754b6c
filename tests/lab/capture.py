"""Write every message that the broker traces into a file, one JSON text a line: `capture.py URL FILE`.

Runs inside the controller until it is killed; says `listening` when it would see the next message.
"""

import json
import sys
from pathlib import Path

from kombu import Connection, Consumer, Exchange, Queue


def main() -> None:
    url, path = sys.argv[1:]
    exchange = Exchange("amq.rabbitmq.trace", type="topic", passive=True)
    with Connection(url) as connection, Path(path).open("w", encoding="utf-8") as file:
        queue = Queue(exchange=exchange, routing_key="#", exclusive=True, auto_delete=True)

        def keep(message):
            body = message.body
            text = body.tobytes() if isinstance(body, memoryview) else body
            text = text.decode(errors="replace") if isinstance(text, bytes) else text
            file.write(json.dumps({"key": message.delivery_info["routing_key"], "body": text}) + "\n")
            file.flush()
            message.ack()

        with Consumer(connection, [queue], on_message=keep, accept=None):
            sys.stdout.write("listening\n")
            sys.stdout.flush()
            while True:  # until it is killed
                connection.drain_events()


if __name__ == "__main__":
    main()
