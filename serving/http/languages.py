"""The language of a response: chosen by ``lang=``, a cookie, or ``Accept-Language``."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stagecast.serving.languages.choice import OPTIONS, choose
from stagecast.serving.languages.display import ENGLISH, Display

YEAR_SECONDS = 365 * 24 * 3600
_BYTES = tuple(name.encode() for name in OPTIONS)


class ChooseLanguage:
    """ASGI middleware that takes the options of a display out of the query string, before the
    routes see it, and answers a page that was asked for with them by a cookie for each.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked = _take_options(scope)
        headers = Headers(scope=scope)
        cookies = cookie_parser(headers.get("cookie", ""))
        display = choose(asked, cookies, headers.get("accept-language", ""))
        scope.setdefault("state", {})["display"] = display
        for_page = not scope["path"].startswith(("/v1/", "/static/"))

        async def send_with_language(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                answered.add_vary_header("Accept-Language")
                if for_page:
                    answered.add_vary_header("Cookie")
                    for name, value in asked.items():
                        if value in OPTIONS[name]:
                            answered.append("Set-Cookie", _cookie(scope, name, value))
            await send(message)

        await self.app(scope, receive, send_with_language)


def _take_options(scope: Scope) -> dict[str, str]:
    """Return the options of a query string, and leave the rest of it in the scope."""
    query: bytes = scope.get("query_string", b"")
    if not any(name in query for name in _BYTES):
        return {}
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    asked = {name: value for name, value in pairs if name in OPTIONS}
    if asked:
        rest = [pair for pair in pairs if pair[0] not in OPTIONS]
        scope["query_string"] = urlencode(rest).encode("ascii")
    return asked


def _cookie(scope: Scope, name: str, value: str) -> str:
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    return f"{name}={value}; Path=/; Max-Age={YEAR_SECONDS}; SameSite=Lax; HttpOnly{secure}"


def display_of(request: Request) -> Display:
    """Return the display of a request; English where nothing chose one."""
    display = request.scope.get("state", {}).get("display")
    return display if isinstance(display, Display) else ENGLISH


async def get_display(request: Request) -> Display:
    """Return :func:`display_of` a request, as a dependency."""
    return display_of(request)


DisplayDep = Annotated[Display, Depends(get_display)]


def page_address(request: Request) -> str:
    """Return path and query of a page, by which it can be asked for in another language."""
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path
