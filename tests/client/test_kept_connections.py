"""What is sent through connections that stay open, against a server that speaks for real."""

import socket
import threading

import pytest

from task_queue import errors
from task_queue.client import kept_connections
from task_queue.client.client import Client
from task_queue.client.http import Address, HttpFailure, HttpRequest, HttpResponse
from task_queue.client.kept_connections import KeptConnections, proxies_are_set
from tests.client.scripted_server import OK, ScriptedServer, scripted_server

READ = HttpRequest(method="GET", path="/api/v1/queues", repeatable=True)
SUBMIT = HttpRequest(method="POST", path="/api/v1/tasks", body=b'{"name":"a"}')


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


def kept_to(server: ScriptedServer, key: str | None = None) -> KeptConnections:
    return KeptConnections(Address(server.url, key))


def test_requests_share_a_connection() -> None:
    with scripted_server([[OK, OK, OK]]) as server:
        kept = kept_to(server)
        replies = [kept.send(request, 5.0) for request in (READ, SUBMIT, READ)]
        kept.close()
    assert replies == [HttpResponse(200, b"{}")] * 3
    assert server.connections == 1


def test_a_request_says_all_that_it_must() -> None:
    with scripted_server([[OK, OK]]) as server:
        kept = kept_to(server, "secret")
        kept.send(SUBMIT, 5.0)
        kept.send(HttpRequest(method="POST", path="/p", params={"q": "a b&c"}), 5.0)
        kept.close()
    lines = server.requests[0].split(b"\r\n")
    assert lines[0] == b"POST /api/v1/tasks HTTP/1.1"
    assert lines[-2:] == [b"", b'{"name":"a"}']
    assert {
        f"Host: 127.0.0.1:{server.port}".encode(), b"Accept: application/json",
        b"Authorization: Bearer secret", b"Content-Type: application/json", b"Content-Length: 12",
        b"Accept-Encoding: identity", b"User-Agent: ray-task-queue-client",
        b"X-Request-Disconnect-Disabled: ?1",
    } <= set(lines)  # fmt: skip
    second = server.requests[1].split(b"\r\n")
    assert second[0] in (b"POST /p?q=a%20b%26c HTTP/1.1", b"POST /p?q=a+b%26c HTTP/1.1")
    assert b"Content-Length: 0" in second


def test_an_answer_in_chunks_and_one_without_a_body() -> None:
    chunked = (
        b"HTTP/1.1 503 Away\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
    )
    with scripted_server([[chunked, b"HTTP/1.1 204 No Content\r\n\r\n", OK]]) as server:
        kept = kept_to(server)
        assert kept.send(READ, 5.0) == HttpResponse(503, b"{}", 7.0)
        assert kept.send(READ, 5.0) == HttpResponse(204, b"")
        assert kept.send(READ, 5.0) == HttpResponse(200, b"{}")
        kept.close()
    assert server.connections == 1


def test_a_connection_that_the_server_closed_is_not_used_again() -> None:
    with scripted_server([[OK], [OK]]) as server:
        kept = kept_to(server)
        kept.send(SUBMIT, 5.0)
        (connection,) = filter(None, kept._pool.pool.queue)  # type: ignore[union-attr]
        assert connection.sock.recv(1, socket.MSG_PEEK) == b""  # returns when the end has come
        assert kept.send(SUBMIT, 5.0) == HttpResponse(200, b"{}")
        kept.close()
    assert server.connections == 2


def test_nor_is_one_that_was_idle_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_connections, "_IDLE_SECONDS", 0.0)
    with scripted_server([[OK, OK], [OK]]) as server:
        kept = kept_to(server)
        kept.send(READ, 5.0)
        kept.send(READ, 5.0)
        kept.close()
    assert server.connections == 2


def test_a_refused_connection_was_never_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    reply = KeptConnections(Address(f"http://127.0.0.1:{port}", None)).send(SUBMIT, 5.0)
    assert isinstance(reply, HttpFailure) and not reply.sent and "refused" in reply.reason


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        b"what?\r\n\r\n",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Len",
    ],
    ids=range(6),
)
def test_half_an_answer_leaves_it_open_whether_the_request_was_carried_out(answer: bytes) -> None:
    with scripted_server([[answer], [OK]]) as server:
        kept = kept_to(server)
        reply = kept.send(SUBMIT, 5.0)
        assert isinstance(reply, HttpFailure) and reply.sent and reply.reason
        assert kept.send(SUBMIT, 5.0) == HttpResponse(200, b"{}")
        kept.close()
    assert server.connections == 2


def test_no_answer_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = Address(f"http://127.0.0.1:{listening.getsockname()[1]}", None)
        reply = KeptConnections(address).send(SUBMIT, 0.01)
    assert isinstance(reply, HttpFailure) and reply.sent and "timed out" in reply.reason


def test_threads_use_a_connection_each() -> None:
    both_wait = threading.Barrier(2)
    replies: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        kept = KeptConnections(Address(f"http://127.0.0.1:{listening.getsockname()[1]}", None))

        def answer(connection: socket.socket) -> None:
            with connection:
                connection.recv(65_536)
                both_wait.wait(10)  # the second request comes while the first is open
                connection.sendall(OK)

        asking = [
            threading.Thread(target=lambda: replies.append(kept.send(READ, 5.0))) for _ in range(2)
        ]
        for thread in asking:
            thread.start()
        answering = [threading.Thread(target=answer, args=(listening.accept()[0],)) for _ in asking]
        for thread in answering:
            thread.start()
        for thread in asking + answering:
            thread.join()
        kept.close()
    assert replies == [HttpResponse(200, b"{}")] * 2


def test_a_closed_client_sends_nothing() -> None:
    client = Client("http://127.0.0.1:1", retry_seconds=0)
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.queues()


def test_a_header_with_a_line_break_is_refused() -> None:
    request = HttpRequest(method="GET", path="/p", headers={"X": "a\r\nEvil: b"})
    with pytest.raises(ValueError, match="Invalid header value"):
        KeptConnections(Address("http://127.0.0.1:1", None)).send(request, 1.0)


def test_a_client_uses_them_and_gives_an_answer_of_no_queue_its_name() -> None:
    with (
        scripted_server([[OK]]) as server,
        Client(server.url) as client,
        pytest.raises(errors.QueueUnreachable, match="not as a task queue"),
    ):
        client.queues()
    assert server.requests[0].startswith(b"GET /api/v1/queues HTTP/1.1\r\n")


@pytest.mark.parametrize("through", ["proxy", "no_proxy"])
def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, through: str) -> None:
    with scripted_server(
        [[b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"queues":[]}']]
    ) as server:
        if through == "proxy":
            monkeypatch.setenv("http_proxy", server.url)
            url, line = "http://queue.test", b"GET http://queue.test/api/v1/queues HTTP/1.1"
        else:
            monkeypatch.setenv("no_proxy", "elsewhere.test")
            url, line = server.url, b"GET /api/v1/queues HTTP/1.1"
        assert proxies_are_set() is (through == "proxy")
        with Client(url) as client:
            assert client.queues() == []
    assert server.requests[0].split(b"\r\n")[0] == line
