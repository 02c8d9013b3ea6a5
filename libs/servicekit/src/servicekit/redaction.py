"""Takes passwords, tokens and keys out of addresses in texts, before these leave the process.

A client repeats the address that it was given in its errors; so logs, events, spans and answers
made of an error hold whatever the address held.
"""

import re

_USER = re.compile(r"://(?:[^/\s]*|[^\s/@:]*:[^\s@]*)@")
"""User and password of an address; a password may hold a slash or an @ that nobody escaped."""
_SECRET = re.compile(
    r"([?&;,](?:[\w.-]|%2D)*?(?:passw(?:or)?d|pwd|secret|token|sig(?:nature)?|credential|(?:api|access)"
    r"[_-]?key(?:[_-]?id)?)=)[^&;,\s\"'<>]+",
    re.IGNORECASE,
)
"""A parameter of an address, or of a list such as Redis's, whose name says that it is a secret."""


def redacted(text: object) -> str:
    """A text in which no address holds a user, a password or another secret."""
    shown = str(text)
    if "://" in shown:
        shown = _USER.sub("://***@", shown)
    return _SECRET.sub(r"\1***", shown) if "=" in shown else shown
