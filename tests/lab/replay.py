"""Put every command that was captured into its host's queue once more: `replay.py URL FILE`; prints how many."""

import json
import sys
from pathlib import Path
from uuid import uuid4

from kombu import Connection, Producer

DELIVERED_TO_HOST = "deliver.limosa-compute."


def renewed(body: str) -> str:
    """Under a new id: oslo.messaging drops what it has seen a moment ago by that."""
    outer = json.loads(body)
    message = json.loads(outer["oslo.message"])
    message["_unique_id"] = uuid4().hex
    return json.dumps({**outer, "oslo.message": json.dumps(message)})


def main() -> None:
    url, path = sys.argv[1:]
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    commands = [line for line in lines if line["key"].startswith(DELIVERED_TO_HOST)]
    with Connection(url) as connection:
        producer = Producer(connection)
        for command in commands:
            queue = command["key"].removeprefix("deliver.")
            producer.publish(
                renewed(command["body"]),
                exchange="",
                routing_key=queue,
                content_type="application/json",
                content_encoding="utf-8",
            )
    sys.stdout.write(str(len(commands)))


if __name__ == "__main__":
    main()
