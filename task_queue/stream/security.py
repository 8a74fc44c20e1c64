"""Who may open a stream, and whether it is encrypted: as the cluster around it has it.

The cluster is one of Ray, and Ray reads its token and its certificates from the environment. Its
variables are read here in its own order, so that whoever can join the cluster can open a stream and
nobody else, and so that one switch encrypts both. This needs the variables and nothing of Ray.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from task_queue.errors import ConfigError

_TRUE = ("1", "true")
_CERTIFICATE, _KEY, _CA = "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT"


class StreamSecurity(Struct, frozen=True):
    """What both ends must have in common."""

    secret: bytes = b""
    server_tls: ssl.SSLContext | None = None
    client_tls: ssl.SSLContext | None = None


def security_from(environment: Mapping[str, str]) -> StreamSecurity:
    """Read a cluster's token and certificates.

    Raises:
        ConfigError: a variable is missing, or what it names cannot be read.
    """
    secret = _token(environment).encode()
    if environment.get("RAY_USE_TLS", "").lower() not in _TRUE:
        return StreamSecurity(secret)
    return StreamSecurity(
        secret,
        _context(ssl.PROTOCOL_TLS_SERVER, environment),
        _context(ssl.PROTOCOL_TLS_CLIENT, environment),
    )


def _token(environment: Mapping[str, str]) -> str:
    if environment.get("RAY_AUTH_MODE", "").lower() != "token":
        return ""
    if environment.get("RAY_ENABLE_K8S_TOKEN_AUTH", "").lower() in _TRUE:
        return ""  # then each pod has a token of its own, and the nonce alone is what both know
    if environment.get("RAY_AUTH_TOKEN"):
        return environment["RAY_AUTH_TOKEN"].strip()
    named = environment.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else Path(environment.get("HOME", ".")) / ".ray" / "auth_token"
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise ConfigError(f"the cluster's token cannot be read: {error}") from error
    token = lines[0].strip() if lines else ""
    if not token:
        raise ConfigError(f"the cluster's token cannot be read: {path} begins with an empty line")
    return token


def _context(protocol: int, environment: Mapping[str, str]) -> ssl.SSLContext:
    """Both ends show a certificate, as with Ray's own connections."""
    for name in (_CERTIFICATE, _KEY, _CA):
        if not environment.get(name):
            raise ConfigError(f"{name} is not set, but RAY_USE_TLS is")
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(environment[_CERTIFICATE], environment[_KEY])
        context.load_verify_locations(environment[_CA])
    except OSError as error:  # an ssl.SSLError is one too
        raise ConfigError(f"the certificates of the cluster cannot be used: {error}") from error
    return context
