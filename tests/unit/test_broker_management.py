"""What RabbitMQ's management is asked over HTTP, in which order, and what becomes of its refusals."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from common import broker_rights
from conductor.broker_management import CLOSE_TRIES, BrokerManagementError, HttpManagement

RIGHTS = broker_rights.of_host("compute1", control_exchange="limosa")
USER = "limosa-host-compute1"
DONE, UNAUTHORISED, GONE, FAILED = 204, 401, 404, 500


@dataclass
class Rabbit:
    """An HTTP server that notes what it is asked, and answers all of it with one status."""

    url: str = ""
    status: int = DONE
    failures: int = 0  # that come first
    asked: list[tuple[str, str, object]] = field(default_factory=list)


@pytest.fixture
def rabbit() -> Iterator[Rabbit]:
    state = Rabbit()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            state.asked.append((self.command, self.path, body))
            status = FAILED if state.failures else state.status
            state.failures = max(0, state.failures - 1)
            self.send_response(status)
            self.end_headers()
            if status != DONE:
                self.wfile.write(b'{"error":"not_authorised","reason":"Login failed"}')

        do_PUT = do_DELETE = answer  # noqa: N815 (http.server's names)

        def log_message(self, *_words: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield state
        server.shutdown()
        thread.join()


def management(rabbit: Rabbit) -> HttpManagement:
    return HttpManagement(rabbit.url, user="limosa-management", password="s3cret", virtual_host="lab/1")


def test_a_user_has_no_rights_before_they_are_narrowed(rabbit):
    management(rabbit).create_user(USER, password_hash="aGFzaA==", rights=RIGHTS)

    paths = [path for _, path, _ in rabbit.asked]
    assert paths == [
        f"/api/users/{USER}",
        f"/api/topic-permissions/lab%2F1/{USER}",
        f"/api/topic-permissions/lab%2F1/{USER}",
        f"/api/permissions/lab%2F1/{USER}",
    ]
    bodies = [body for _, _, body in rabbit.asked]
    assert bodies[0] == {"password_hash": "aGFzaA==", "tags": ""}
    assert {body["exchange"] for body in bodies[1:3]} == {"limosa", "limosa.conductors"}
    assert bodies[3] == {"configure": RIGHTS.configure, "write": RIGHTS.write, "read": RIGHTS.read}


def test_what_is_gone_already_is_removed(rabbit):
    rabbit.status = GONE
    management(rabbit).delete_user("a@b")
    management(rabbit).close_connections(USER)
    management(rabbit).delete_queue("limosa-compute.compute1")

    assert [path for _, path, _ in rabbit.asked] == [
        "/api/users/a%40b",
        f"/api/connections/username/{USER}",
        "/api/queues/lab%2F1/limosa-compute.compute1",
    ]


def test_a_refusal_is_told_in_rabbitmq_s_words_and_without_the_password(rabbit):
    rabbit.status = UNAUTHORISED

    with pytest.raises(BrokerManagementError, match=r"did not make a user: 401 .*Login failed") as caught:
        management(rabbit).create_user(USER, password_hash="aGFzaA==", rights=RIGHTS)

    assert "s3cret" not in f"{caught.value} {caught.value.advice}"
    assert len(rabbit.asked) == 1, "after a refusal nothing more is asked"


def test_connections_of_which_one_ends_meanwhile_are_closed_all_the_same(rabbit):
    rabbit.failures = CLOSE_TRIES - 1

    management(rabbit).close_connections(USER)

    assert len(rabbit.asked) == CLOSE_TRIES


@pytest.mark.parametrize("ask", ["delete_user", "close_connections"])
def test_a_rabbitmq_that_goes_on_failing_is_told(rabbit, ask):
    rabbit.failures = CLOSE_TRIES

    with pytest.raises(BrokerManagementError, match="500"):
        getattr(management(rabbit), ask)(USER)


def test_a_user_who_is_not_there_gets_no_password(rabbit):
    rabbit.status = GONE
    with pytest.raises(BrokerManagementError, match="did not set a password: 404"):
        management(rabbit).set_password(USER, password_hash="aGFzaA==")


def test_a_management_that_is_away_is_told():
    away = HttpManagement("http://127.0.0.1:1", user="u", password="p", virtual_host="/")
    with pytest.raises(BrokerManagementError, match=r"http://127\.0\.0\.1:1 did not remove a user: "):
        away.delete_user(USER)
