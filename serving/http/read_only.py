"""A server that only reads its store: what would write is refused before it is tried."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from stagecast.serving.http.problems import ProblemError
from stagecast.serving.http.store_faults import READING
from stagecast.serving.mcp.inside import ONLY_READS

READING_POSTS = frozenset({"/v1/score", "/v1/customers/lookup", "/mcp"})
"""Paths whose POST writes nothing."""


class ReadOnly:
    """ASGI middleware that refuses requests which write.

    Parameters
    ----------
    app
        The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        writes = (
            scope["type"] == "http"
            and scope["method"] not in READING
            and not scope.get("state", {}).get(ONLY_READS)
            and not (scope["method"] == "POST" and scope["path"] in READING_POSTS)
        )
        if not writes:
            await self.app(scope, receive, send)
            return
        problem = ProblemError(
            403,
            "read-only",
            "this server only reads its store; send what changes it to the server that writes",
        )
        await problem.response()(scope, receive, send)
