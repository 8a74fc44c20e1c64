"""Where a stream server listens, as its callers are told."""

import msgspec


class Endpoint(msgspec.Struct, frozen=True):
    """One start of one server."""

    host: str
    port: int
    nonce: bytes  #: goes into the key of its streams; only those who may call the scheduler get it


decode_endpoint = msgspec.msgpack.Decoder(Endpoint).decode
