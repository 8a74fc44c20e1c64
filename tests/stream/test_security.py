"""The cluster's token, in Ray's own order, and its certificates."""

import os
import ssl
from pathlib import Path

import pytest
import trustme

from task_queue.core.effects import Accepted
from task_queue.errors import ConfigError
from task_queue.stream.endpoint import Endpoint
from task_queue.stream.handshake import MAGIC
from task_queue.stream.limits import StreamLimits
from task_queue.stream.outcome import StreamLost
from task_queue.stream.scheduler_listener import SchedulerListener
from task_queue.stream.scheduler_stream import SchedulerStream
from task_queue.stream.security import security_from
from task_queue.testing import task_spec
from tests.scheduler.hall import Hall
from tests.stream.stream_hall import ECHO, StreamHall

TOKEN = {"RAY_AUTH_MODE": "token"}


# ---- the token ---------------------------------------------------------------------------------


def test_the_token_is_looked_for_where_ray_looks(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".ray").mkdir(parents=True)
    (home / ".ray" / "auth_token").write_text("of the user\n")
    named = tmp_path / "named"
    named.write_text("  named \nsecond line\n")
    environment = {**TOKEN, "HOME": str(home)}
    assert security_from(environment).secret == b"of the user"
    environment["RAY_AUTH_TOKEN_PATH"] = str(named)
    assert security_from(environment).secret == b"named"
    environment["RAY_AUTH_TOKEN"] = " given\n"
    assert security_from(environment).secret == b"given"
    environment |= {"RAY_AUTH_TOKEN": "", "RAY_AUTH_MODE": "TOKEN"}
    assert security_from(environment).secret == b"named"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"RAY_AUTH_TOKEN": "t"},
        {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "t"},
        {**TOKEN, "RAY_AUTH_TOKEN": "t", "RAY_ENABLE_K8S_TOKEN_AUTH": "true"},
    ],
)
def test_without_a_common_token_there_is_no_secret(environment: dict[str, str]) -> None:
    security = security_from(environment)
    assert security.secret == b""
    assert security.server_tls is None


def test_a_token_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="auth_token"):
        security_from({**TOKEN, "HOME": str(tmp_path)})
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigError, match="begins with an empty line"):
        security_from({**TOKEN, "RAY_AUTH_TOKEN_PATH": str(tmp_path / "empty")})


# ---- certificates ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificates(authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    return _certificates(authority, tmp_path)


def _certificates(authority: trustme.CA, folder: Path, name: str = "127.0.0.1") -> dict[str, str]:
    """A node's environment, as an operator of Ray sets it."""
    issued = authority.issue_cert(name)
    folder.mkdir(exist_ok=True)
    issued.private_key_pem.write_to_path(str(folder / "key"))
    for index, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(str(folder / "cert"), append=index > 0)
    authority.cert_pem.write_to_path(str(folder / "ca"))
    return {
        "RAY_USE_TLS": "1",
        "RAY_TLS_SERVER_CERT": str(folder / "cert"),
        "RAY_TLS_SERVER_KEY": str(folder / "key"),
        "RAY_TLS_CA_CERT": str(folder / "ca"),
    }


@pytest.mark.parametrize("name", ["SERVER_CERT", "SERVER_KEY", "CA_CERT"])
def test_a_certificate_that_is_missing_is_named(certificates: dict[str, str], name: str) -> None:
    variable = f"RAY_TLS_{name}"
    path = certificates.pop(variable)
    with pytest.raises(ConfigError, match=f"{variable} is not set"):
        security_from(certificates)
    certificates[variable] = f"{path}-gone"
    with pytest.raises(ConfigError, match="cannot be used"):
        security_from(certificates)


@pytest.mark.anyio
async def test_calls_travel_encrypted(hall: StreamHall, certificates: dict[str, str]) -> None:
    security = security_from(certificates)
    await hall.serve(tls=security.server_tls)
    client = hall.client(tls=security.client_tls)
    blob = os.urandom(5_000_000)
    assert bytes(await client.call(ECHO, blob)) == blob
    assert bytes(await client.call(ECHO, b"small")) == b"small"
    plain = await hall.raw()
    plain.writer.write(b"not a hello of TLS" * 10)
    assert MAGIC not in await plain.until_cut()


@pytest.mark.anyio
async def test_a_client_without_a_certificate_is_refused(
    hall: StreamHall, certificates: dict[str, str]
) -> None:
    server = await hall.serve(tls=security_from(certificates).server_tls)
    nameless = ssl.create_default_context(cafile=certificates["RAY_TLS_CA_CERT"])
    with pytest.raises(StreamLost) as lost:
        await hall.client(tls=nameless).call(ECHO, b"")
    assert not lost.value.sent
    assert not server.peers


@pytest.mark.anyio
async def test_certificates_of_another_authority_are_refused_by_both_ends(
    hall: StreamHall, certificates: dict[str, str], tmp_path: Path
) -> None:
    ours = security_from(certificates)
    theirs = security_from(_certificates(trustme.CA(), tmp_path / "theirs"))
    await hall.serve(tls=ours.server_tls)
    with pytest.raises(StreamLost, match="verify failed"):
        await hall.client(tls=theirs.client_tls).call(ECHO, b"")
    trusting = security_from(certificates).client_tls
    assert trusting is not None
    trusting.load_cert_chain(tmp_path / "theirs" / "cert", tmp_path / "theirs" / "key")
    with pytest.raises(StreamLost):
        await hall.client(tls=trusting).call(ECHO, b"")


@pytest.mark.anyio
async def test_a_certificate_is_good_for_its_own_host_only(
    hall: StreamHall, authority: trustme.CA, tmp_path: Path
) -> None:
    elsewhere = security_from(_certificates(authority, tmp_path / "elsewhere", "10.9.8.7"))
    await hall.serve(tls=elsewhere.server_tls)
    with pytest.raises(StreamLost, match="verify failed"):
        await hall.client(tls=elsewhere.client_tls).call(ECHO, b"")


@pytest.mark.anyio
async def test_a_client_in_plain_text_is_refused(
    hall: StreamHall, certificates: dict[str, str]
) -> None:
    await hall.serve(tls=security_from(certificates).server_tls)
    with pytest.raises(StreamLost):
        await hall.client(StreamLimits(connect_seconds=0.2)).call(ECHO, b"")


@pytest.mark.anyio
async def test_the_scheduler_is_served_with_token_and_certificates(
    certificates: dict[str, str],
) -> None:
    rooms = Hall()
    environment = {**certificates, **TOKEN, "RAY_AUTH_TOKEN": "t"}
    told: list[bool] = []
    listener = SchedulerListener(
        await rooms.started(), "127.0.0.1", "127.0.0.1", environment,
        on_listening=lambda _endpoint, tls: told.append(tls),
    )  # fmt: skip
    listener.start()

    async def find() -> Endpoint:
        return await listener.endpoint(5.0)

    stream = SchedulerStream(find, 0.0, environment)
    assert isinstance(await stream.submit([task_spec()]), Accepted)
    assert told == [True]
    await stream.close()
    await listener.close()
    rooms.close()
