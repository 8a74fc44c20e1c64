"""Any Python text as a text of PostgreSQL, which cannot hold U+0000, and back; lists of texts too.

A text without control characters is stored as it is. So it can be read, searched and sorted there.
"""

_ESCAPED = {"\x01": "\x01\x01", "\x00": "\x01\x02", "\x1f": "\x01\x03"}
_PLAIN = {"\x01": "\x01", "\x02": "\x00", "\x03": "\x1f"}
_TABLE = str.maketrans(_ESCAPED)
SEPARATOR = "\x1f"


def stored(text: str) -> str:
    """The text to store."""
    return text if text.isprintable() else text.translate(_TABLE)


def stored_or_none(text: str | None) -> str | None:
    """The text to store, if there is one."""
    return None if text is None else stored(text)


def plain(text: str) -> str:
    """The text that was given to `stored`."""
    if "\x01" not in text:
        return text
    parts = iter(text)
    return "".join(_PLAIN[next(parts)] if char == "\x01" else char for char in parts)


def joined(texts: tuple[str, ...]) -> str | None:
    """Several texts as one, each between two separators, so that each can be searched for."""
    if not texts:
        return None
    return SEPARATOR + SEPARATOR.join(map(stored, texts)) + SEPARATOR


def parted(text: str) -> list[str]:
    """The texts that were given to `joined`."""
    return [plain(part) for part in text[1:-1].split(SEPARATOR)]
