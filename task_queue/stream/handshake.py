"""How both ends of a stream prove to each other that they know the key, which never travels.

The server speaks first and reveals nothing before the client has proved itself:

    server -> client    magic, challenge
    client -> server    challenge, proof
    server -> client    proof

A proof is an HMAC-SHA256 over who speaks and both challenges, so none can be sent back or used
twice. The key comes from the secret of the cluster and a nonce that the server makes at each start
and tells only to those who may ask. Without TLS this keeps out who may not come in; it does not
hide what is said, nor help against somebody who can change packets on their way.
"""

import hmac
import secrets

#: Says what speaks here, and in which version.
MAGIC = b"TQS2"
#: No frame of the handshake is longer: nothing larger is read from a stranger.
MAX_HANDSHAKE_BYTES = 128
_CHALLENGE_BYTES = 32
_PROOF_BYTES = 32
_SERVER = b"server"
_CLIENT = b"client"


class HandshakeFailed(Exception):
    """The other end is not who it should be; the message says what it did."""


def new_nonce() -> bytes:
    """For one start of a server."""
    return secrets.token_bytes(32)


def stream_key(secret: bytes, nonce: bytes) -> bytes:
    """The key that both ends of a stream must know."""
    return hmac.digest(secret, b"task-queue stream" + nonce, "sha256")


class ServerHandshake:
    """The server's end."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._challenge = secrets.token_bytes(_CHALLENGE_BYTES)

    def opening(self) -> bytes:
        """What is sent before anything was read."""
        return MAGIC + self._challenge

    def answer(self, frame: bytes) -> bytes:
        """What is sent to a client that has proved itself.

        Raises:
            HandshakeFailed: it has not.
        """
        if len(frame) != _CHALLENGE_BYTES + _PROOF_BYTES:
            raise HandshakeFailed("it does not speak the protocol of this stream")
        theirs, proof = frame[:_CHALLENGE_BYTES], frame[_CHALLENGE_BYTES:]
        if not hmac.compare_digest(proof, _proof(self._key, _CLIENT, self._challenge, theirs)):
            raise HandshakeFailed("it does not know the key")
        return _proof(self._key, _SERVER, self._challenge, theirs)


class ClientHandshake:
    """The client's end."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._challenge = secrets.token_bytes(_CHALLENGE_BYTES)
        self._theirs = b""

    def answer(self, frame: bytes) -> bytes | None:
        """What to say to the server's frame; None: nothing more, it has proved itself.

        Raises:
            HandshakeFailed: it has not.
        """
        if not self._theirs:
            magic, self._theirs = frame[: len(MAGIC)], frame[len(MAGIC) :]
            if magic != MAGIC or len(self._theirs) != _CHALLENGE_BYTES:
                raise HandshakeFailed("it is no stream of a scheduler, or one of another version")
            return self._challenge + _proof(self._key, _CLIENT, self._theirs, self._challenge)
        expected = _proof(self._key, _SERVER, self._theirs, self._challenge)
        if not hmac.compare_digest(frame, expected):
            raise HandshakeFailed("it does not know the key")
        return None


def _proof(key: bytes, who: bytes, server_challenge: bytes, client_challenge: bytes) -> bytes:
    return hmac.digest(key, who + server_challenge + client_challenge, "sha256")
