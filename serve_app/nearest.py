"""The nearest known word to one that is not known, for error messages that help."""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 300  # comparing costs the product of the lengths
_FEW = 10


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be, whatever its case; None if none is
    close."""
    if len(word) > _LONGEST:
        return None
    by_folded = {name.casefold(): name for name in known}
    found = get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def hint(word: str, known: Iterable[str], what: str) -> str:
    """Half a sentence: the nearest known word, and a few of all.

    Args:
        word: what was given.
        known: all that there are.
        what: their plural, such as "tasks".
    """
    names = sorted(known)
    if not names:
        return f"there are no {what} yet"
    close = nearest(word, names)
    meant = f"did you mean '{close}'? " if close is not None else ""
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return f"{meant}known {what}: {', '.join(names[:_FEW])}{more}"


def shown(word: str) -> str:
    """A word from outside as an error message quotes it: not too long."""
    return f"'{word}'" if len(word) <= _LONGEST else f"'{word[:_LONGEST]}...'"
