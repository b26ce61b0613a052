"""Keys that nobody should use: too short, easy to guess, or printed in documents."""

from __future__ import annotations

from itertools import pairwise

LENGTH_MIN = 16
DISTINCT_MIN = 8
STEPS_MIN = 10
_PLACEHOLDERS = (
    *("changeme", "change-me", "change_me", "password", "passwort", "secret", "example"),
    *("your-key", "your_key", "yourkey", "your-api", "api-key", "api_key", "apikey", "my-key"),
    *("letmein", "qwerty", "stagecast", "replace", "insert-", "placeholder", "dummy", "sample"),
)


def weakness(key: str) -> str | None:
    """Return why a key is too weak, without the key; None where it will do.

    Parameters
    ----------
    key
        A key that somebody has thought up, as the settings name it.

    >>> weakness("aaaaaaaaaaaaaaaaaaaa")
    'has 1 different characters; at least 8 are needed'
    >>> weakness("9b1f4c07de52a8613f90") is None
    True
    """
    if len(key) < LENGTH_MIN:
        return f"has {len(key)} characters; at least {LENGTH_MIN} are needed"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "has blanks or other than plain ASCII characters"
    distinct = len(set(key))
    if distinct < DISTINCT_MIN:
        return f"has {distinct} different characters; at least {DISTINCT_MIN} are needed"
    if any(word in key.lower() for word in _PLACEHOLDERS):
        return "contains a word of examples, such as 'secret' or 'changeme'"
    if any(key == (key[:period] * len(key))[: len(key)] for period in range(1, len(key) // 2 + 1)):
        return "repeats itself"
    # 'abcdef' and '7777' add nothing to what has to be guessed
    steps = sum(abs(ord(second) - ord(first)) > 1 for first, second in pairwise(key))
    if steps < STEPS_MIN:
        return "is a sequence of neighbouring characters"
    return None
