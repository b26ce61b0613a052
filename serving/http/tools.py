"""``POST /mcp``: the tools for MCP clients, behind the keys and limits of any other route.

The package ``mcp`` is imported where the setting says so, and not else: without it, the route says
how to switch it on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from stagecast.features.errors import UsageError
from stagecast.serving.http.access import check_route
from stagecast.serving.http.problems import ProblemError

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

PATH = "/mcp"
_HOW = "install 'stagecast[mcp]' and set STAGECAST_MCP=true"


class ToolsEndpoint:
    """The ASGI application of the route.

    Parameters
    ----------
    app
        The API, which the tools ask.
    is_on
        Whether the setting switches it on.
    max_body_bytes
        Maximum length of a request, in bytes.

    Raises
    ------
    UsageError
        It is switched on, and the package is not installed.
    """

    def __init__(self, app: ASGIApp, *, is_on: bool, max_body_bytes: int) -> None:
        self._app, self._max_body_bytes, self._is_on = app, max_body_bytes, is_on
        self._manager: StreamableHTTPSessionManager | None = None
        if is_on:
            require_package()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Be ready for requests within this context."""
        if not self._is_on:
            yield
            return
        from stagecast.serving.mcp.server import http_manager

        manager = http_manager(self._app, self._max_body_bytes)
        async with manager.run():
            self._manager = manager
            try:
                yield
            finally:
                self._manager = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of the protocol.

        Raises
        ------
        ProblemError
            403: the key may not read; 404: the tools are not switched on.
        """
        check_route(scope, str(scope["method"]), PATH)
        if self._manager is None:
            raise ProblemError(404, "tools-off", f"the tools are not switched on: {_HOW}")
        await self._manager.handle_request(scope, receive, send)


def require_package() -> None:
    """Refuse to go on without the package.

    Raises
    ------
    UsageError
        It is not installed, or too old.
    """
    from importlib.util import find_spec

    if find_spec("mcp") is None or find_spec("mcp_types") is None:
        raise UsageError(
            "STAGECAST_MCP is set, and the package mcp (2.0 or newer) is not installed: "
            "pip install 'stagecast[mcp]', or leave the setting out"
        )
