"""How many requests are handled at once; what comes beyond is refused at once, and cheaply.

A request that waits behind hundreds of others is answered after its caller has given up. So those
who are let in are answered soon, and the others are told when to come back.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stagecast.serving.http.access import OPEN_PATHS, access_of
from stagecast.serving.http.problems import ProblemError

RETRY_SECONDS = 1


class Places:
    """Places for requests that are handled at once.

    Parameters
    ----------
    limit
        Most requests at once; health checks are not counted.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._inside = limit, 0

    def enter(self) -> bool:
        """Take a place; return whether there was one."""
        if self._inside >= self._limit:
            return False
        self._inside += 1
        return True

    def leave(self) -> None:
        """Give a place back."""
        self._inside -= 1


class Admission:
    """ASGI middleware that refuses requests while too many are being handled.

    Parameters
    ----------
    app
        The application.
    places
        How many requests may be handled at once.
    """

    def __init__(self, app: ASGIApp, places: Places) -> None:
        self.app, self._places = app, places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        if not self._places.enter():
            access_of(scope).shed = "overloaded"
            await overloaded().response()(scope, _nothing, send)
            return
        try:
            await self.app(scope, receive, send)
        finally:
            self._places.leave()


def overloaded() -> ProblemError:
    """Return the problem of a request for which there is no place."""
    return ProblemError(
        503,
        "overloaded",
        f"too many requests are being handled; try again in {RETRY_SECONDS} s, and a little later "
        "each time",
        headers={"Retry-After": str(RETRY_SECONDS)},
    )


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
