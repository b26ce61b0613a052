"""How many requests are handled at once; what comes beyond is refused at once, and cheaply.

A request that waits behind hundreds of others is answered after its caller has given up. So those
who are let in are answered soon, and the others are told when to come back.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stagecast.serving.http.access import OPEN_PATHS, access_of
from stagecast.serving.http.problems import ProblemError

RETRY_SECONDS = 1


class Admission:
    """ASGI middleware that refuses requests while too many are being handled.

    Parameters
    ----------
    app
        The application.
    limit
        Most requests at once; health checks are not counted.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self._limit, self._inside = limit, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        if self._inside >= self._limit:
            access_of(scope).shed = "overloaded"
            await _overloaded().response()(scope, _nothing, send)
            return
        self._inside += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._inside -= 1


def _overloaded() -> ProblemError:
    return ProblemError(
        503,
        "overloaded",
        f"too many requests are being handled; try again in {RETRY_SECONDS} s, and a little later "
        "each time",
        headers={"Retry-After": str(RETRY_SECONDS)},
    )


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
