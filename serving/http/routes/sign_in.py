"""Sign-in and sign-out of a browser: a key is shown once, and a cookie stands for it."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from stagecast.serving.http.access import access_of
from stagecast.serving.http.auth import Entrance
from stagecast.serving.http.bodies import receive_body
from stagecast.serving.http.cookies import (
    SIGN_IN,
    SIGN_OUT,
    check_same_origin,
    local_path,
    session_cookie,
    session_token,
)
from stagecast.serving.http.page_texts import shop_of
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.http.state import StateDep
from stagecast.serving.keys.sessions import SCOPES_OF_PAGES
from stagecast.serving.reports.rendering import render

FORM_BYTES_MAX = 8 * 1024
FORM = "application/x-www-form-urlencoded"
_MESSAGES = {"key-needed": "wrong", "keys-tried": "wait", "requests-limited": "wait"}

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


def entrance_of(request: Request) -> Entrance:
    """Return the checks of the application."""
    entrance: Entrance = request.app.state.entrance
    return entrance


EntranceDep = Annotated[Entrance, Depends(entrance_of)]


@router.get(SIGN_IN)
async def sign_in_page(
    request: Request, entrance: EntranceDep, next: str | None = None
) -> Response:
    """Show the form; a server without keys has nothing to sign in to."""
    if not entrance.needs_key:
        return RedirectResponse(local_path(next), 303)
    return _form(request, local_path(next))


@router.post(SIGN_IN)
async def sign_in(request: Request, entrance: EntranceDep, state: StateDep) -> Response:
    """Take a key, and answer with the cookie of a session.

    Raises
    ------
    ProblemError
        403: a page of somebody else sent the form; 415: it is no form; 503: the keys cannot be
        read, or the session cannot be kept.
    """
    check_same_origin(request.scope)
    fields = await _fields(request, state.settings.body_seconds)
    next_path = local_path(fields.get("next"))
    if not entrance.needs_key:
        return RedirectResponse(next_path, 303)
    key = fields.get("key", "").strip()
    try:
        caller = await entrance.caller_of(key, request.scope)
    except ProblemError as problem:
        if problem.slug not in _MESSAGES:
            raise
        if problem.status == 429:
            access_of(request.scope).shed = "limited"
        return _form(request, next_path, problem)
    access = access_of(request.scope)
    access.caller, access.scope = caller, "sign-in"
    if not caller.scopes & SCOPES_OF_PAGES:
        return _form(request, next_path, ProblemError(403, "scope-needed", "no scope of pages"))
    earlier = session_token(request.scope)
    token = await entrance.callers.open_session(caller, earlier)
    return _go(next_path, session_cookie(request.scope, token))


@router.post(SIGN_OUT)
async def sign_out(request: Request, entrance: EntranceDep) -> Response:
    """End the session of a browser, also for who has copied its cookie.

    Raises
    ------
    ProblemError
        403: a page of somebody else sent the form; 503: the session cannot be ended.
    """
    check_same_origin(request.scope)
    token = session_token(request.scope)
    if token is not None:
        caller = await entrance.callers.by_session(token)
        access = access_of(request.scope)
        access.caller, access.scope = caller, "sign-out"
        await entrance.callers.end_session(token)
    return _go(SIGN_IN if entrance.needs_key else "/", session_cookie(request.scope, ""))


async def _fields(request: Request, seconds: float) -> dict[str, str]:
    """Return the first value of each field of a form."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise ProblemError(415, "form-only", f"the sign-in takes a form, of the type {FORM}")
    body = await receive_body(request.headers, request.receive, FORM_BYTES_MAX, seconds)
    try:
        values = parse_qs(body.decode("utf-8"), max_num_fields=10)
    except ValueError:
        raise ProblemError(400, "form-malformed", "the form cannot be read") from None
    return {name: texts[0] for name, texts in values.items()}


def _go(path: str, cookie: str) -> Response:
    response = RedirectResponse(path, 303)
    response.headers.append("Set-Cookie", cookie)
    return response


def _form(request: Request, next_path: str, problem: ProblemError | None = None) -> Response:
    message = None if problem is None else _MESSAGES.get(problem.slug, "no_scope")
    headers = {} if problem is None else dict(problem.headers or {})
    headers.pop("WWW-Authenticate", None)  # the page asks, so that the browser need not
    address = f"{SIGN_IN}?{urlencode({'next': next_path})}"
    return render(
        "sign_in.html",
        **shop_of(None, request) | {"address": address},
        status=200 if problem is None else problem.status,
        headers=headers,
        next_path=next_path,
        message=message,
        wait_seconds=headers.get("Retry-After"),
    )
