"""The cookie of a session, and what a request that is believed by its cookie has to show.

A browser sends a cookie with every request to the server, also with those that a page of somebody
else makes. ``SameSite=Strict`` keeps it back from other sites, but not from another port or
subdomain of this one; so whatever changes something must come from a page of this very server.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from stagecast.serving.http.problems import ProblemError
from stagecast.serving.keys.sessions import LIFETIME, is_token

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""
SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
_NAME = "stagecast_session"
_PORTS = {"http": 80, "https": 443}
_LOCAL_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")
NEXT_LENGTH_MAX = 2_000


def cookie_name(scope: Scope) -> str:
    """Return the name of the cookie; with TLS no other host or plain page can set it (RFC 6265bis,
    4.1.3.2).
    """
    return f"__Host-{_NAME}" if scope.get("scheme") == "https" else _NAME


def session_token(scope: Scope) -> str | None:
    """Return the token that a browser sends; None: there is none, or it is none of ours."""
    cookies = cookie_parser(Headers(scope=scope).get("cookie", ""))
    token = cookies.get(cookie_name(scope))
    return token if token is not None and is_token(token) else None


def session_cookie(scope: Scope, token: str) -> str:
    """Return the header ``Set-Cookie`` for a token; an empty token removes the cookie."""
    seconds = int(LIFETIME.total_seconds()) if token else 0
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    return (
        f"{cookie_name(scope)}={token}; Path=/; Max-Age={seconds}; SameSite=Strict; HttpOnly"
        f"{secure}"
    )


def check_same_origin(scope: Scope) -> None:
    """Refuse a request that no page of this server made.

    ``Sec-Fetch-Site`` decides where the browser sends it (with TLS, and on this machine), else
    ``Origin``; a request with neither is refused too, since every browser sends one of them with
    what changes something.

    Raises
    ------
    ProblemError
        403: another origin made it, or it does not say which.
    """
    headers = Headers(scope=scope)
    site = headers.get("sec-fetch-site")
    if site is not None:
        is_own = site == "same-origin"
    else:
        is_own = _is_own_origin(headers.get("origin", ""), headers.get("host", ""), scope)
    if not is_own:
        raise ProblemError(
            403,
            "cross-site",
            "a page of another site, or of none, made this request for somebody who is signed in "
            "here; programs send a key with 'Authorization: Bearer KEY'",
        )


def _is_own_origin(origin: str, host: str, scope: Scope) -> bool:
    try:
        parts, own = urlsplit(origin), urlsplit(f"//{host}")
        port = parts.port or _PORTS.get(parts.scheme)
        own_port = own.port or _PORTS.get(parts.scheme)
    except ValueError:
        return False
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        return False
    if scope.get("scheme") == "https" and parts.scheme != "https":
        return False
    return (parts.hostname, port) == (own.hostname, own_port)


def local_path(text: str | None) -> str:
    """Return where to go after the sign-in: a path of this server, and the first page else.

    >>> local_path("/customers?stage=new"), local_path("https://evil.example")
    ('/customers?stage=new', '/')
    >>> [local_path(path) for path in ("//evil.example", "/\\\\evil.example", "/\\t/evil.example")]
    ['/', '/', '/']
    """
    if text is None or len(text) > NEXT_LENGTH_MAX or not _LOCAL_PATH.fullmatch(text):
        return "/"
    return "/" if text.partition("?")[0] in (SIGN_IN, SIGN_OUT) else text
