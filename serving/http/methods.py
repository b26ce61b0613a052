"""HEAD, OPTIONS, ``Allow`` and ``Content-Type``: what holds on every path, and no route says."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stagecast.serving.http.access import STATIC, let_any_key, single_routes
from stagecast.serving.http.content_types import BODY_METHODS, check_content_type
from stagecast.serving.http.problems import ProblemError


class Methods:
    """ASGI middleware that answers HEAD as GET without the body, and OPTIONS with ``Allow``.

    A 405 has in ``Allow`` all methods that the path takes; what writes must be JSON, where the path
    takes the method at all. It stands behind the guard, so that nothing is said to who has no key.

    Parameters
    ----------
    app
        The application.
    routes
        Its routes.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self.app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(f"{STATIC}/"):
            await self.app(scope, receive, send)
        elif scope["method"] == "HEAD":
            scope["method"] = "GET"
            try:
                await self.app(scope, receive, _without_body(send))
            finally:
                scope["method"] = "HEAD"
        elif scope["method"] == "OPTIONS" and (methods := self._methods(scope)):
            let_any_key(scope)
            await Response(status_code=204, headers=_allow(methods))(scope, receive, send)
        elif (problem := self._unreadable(scope)) is not None:
            await problem.response()(scope, receive, send)
        else:
            await self.app(scope, receive, self._with_allow(scope, send))

    def _unreadable(self, scope: Scope) -> ProblemError | None:
        """Return why the body of a request is not read, or None."""
        if scope["method"] not in BODY_METHODS or scope["method"] not in self._methods(scope):
            return None
        try:
            check_content_type(scope)
        except ProblemError as problem:
            return problem
        return None

    def _with_allow(self, scope: Scope, send: Send) -> Send:
        async def send_with_allow(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 405:
                MutableHeaders(scope=message).update(_allow(self._methods(scope)))
            await send(message)

        return send_with_allow

    def _methods(self, scope: Scope) -> Sequence[str]:
        """Return the methods of a path, in order; none where there is nothing."""
        methods: set[str] = set()
        for route in single_routes(self._routes):
            if route.matches(scope)[0] is not Match.NONE:
                methods |= getattr(route, "methods", None) or {"GET"}
        if not methods:
            return ()
        return sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))


def _allow(methods: Sequence[str]) -> dict[str, str]:
    return {"Allow": ", ".join(methods)}


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head
