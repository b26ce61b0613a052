"""Which scope each route needs. What is not listed here is refused, also to a key with all scopes.

The guard (:mod:`stagecast.serving.http.auth`) finds out who calls; a dependency of the application
(:func:`check_scope`) asks here, at the route that was chosen, whether they may; and no answer
leaves the server for which nobody asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from stagecast.serving.http.cookies import SIGN_IN, SIGN_OUT
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.keys.ring import Caller
from stagecast.serving.keys.scopes import SCOPES

OPEN_PATHS = frozenset({"/livez", "/readyz"})
"""Paths that need no key."""
STATIC = "/static"
PUBLIC_ROUTES = frozenset(
    {("GET", STATIC), ("GET", SIGN_IN), ("POST", SIGN_IN), ("POST", SIGN_OUT)}
)
"""Routes that need no key, and show nothing of a customer: the sign-in, and what it looks like."""
_ANY = tuple(SCOPES)
_READ, _PLAN, _EXPORT = ("read",), ("plan",), ("export",)

ROUTE_SCOPES: dict[tuple[str, str], tuple[str, ...]] = {
    ("POST", "/v1/score"): ("score",),
    ("POST", "/v1/jobs"): ("score",),
    ("GET", "/v1/jobs"): ("score",),
    ("GET", "/v1/jobs/{job_id}"): ("score",),
    ("GET", "/v1/jobs/{job_id}/scores"): ("score",),
    ("DELETE", "/v1/jobs/{job_id}"): ("score",),
    # as JSON it is read; as a file it is exported, which the route finds out
    ("GET", "/v1/customers"): ("read", "export"),
    ("POST", "/v1/customers/lookup"): _READ,
    ("GET", "/v1/customers/{customer_id:path}"): _READ,
    ("DELETE", "/v1/customers/{customer_id:path}"): ("admin",),
    ("GET", "/v1/customer"): _READ,
    ("DELETE", "/v1/customer"): ("admin",),
    ("GET", "/v1/erasures/{number}"): ("admin",),
    ("GET", "/v1/runs"): _READ,
    ("GET", "/v1/changes"): _READ,
    ("GET", "/v1/channels"): _READ,
    ("GET", "/v1/trust"): _READ,
    ("GET", "/v1/totals"): _READ,
    ("GET", "/v1/views"): _READ,
    ("GET", "/v1/value-grid"): _READ,
    ("GET", "/v1/saved-views"): _READ,
    ("POST", "/v1/saved-views"): _PLAN,
    ("DELETE", "/v1/saved-views/{number}"): _PLAN,
    ("GET", "/v1/stages"): _READ,
    ("GET", "/v1/stages/flows"): _READ,
    ("GET", "/v1/model"): _READ,
    ("GET", "/v1/model/shadow"): _READ,
    ("GET", "/v1/plans"): _READ,
    ("POST", "/v1/plans"): _PLAN,
    ("GET", "/v1/plans/{name}"): _READ,
    ("DELETE", "/v1/plans/{name}"): _PLAN,
    ("POST", "/v1/plans/{name}/freeze"): _PLAN,
    ("POST", "/v1/plans/{name}/cancel"): _PLAN,
    ("GET", "/v1/plans/{name}/customers"): _EXPORT,
    ("POST", "/v1/plans/{name}/sent"): _PLAN,
    ("POST", "/v1/plans/{name}/outcomes"): _PLAN,
    ("GET", "/v1/plans/{name}/readout"): _READ,
    ("GET", "/v1/results"): _READ,
    ("GET", "/v1/results/before-after"): _READ,
    ("GET", "/"): _READ,
    ("GET", "/customers"): _READ,
    ("GET", "/customers/{customer_id:path}"): _READ,
    ("GET", "/customer"): _READ,
    ("GET", "/plans"): _READ,
    ("GET", "/plans/new"): _READ,
    ("GET", "/plans/{name}"): _READ,
    ("GET", "/results"): _READ,
    ("GET", "/channels"): _READ,
    ("GET", "/trust"): _READ,
    # of the server itself, and of no customer
    # what a tool asks of the API needs the scope of that route as well
    ("POST", "/mcp"): ("read", "plan"),
    ("GET", "/metrics"): ("metrics",),
    ("GET", "/docs"): _ANY,
    ("GET", "/openapi.json"): _ANY,
}
"""Method and template of a route -> scopes, one of which a key needs."""


@dataclass
class Access:
    """What the guard knows of a request, and what was asked of it since.

    Parameters
    ----------
    caller
        Who sends the request; None at open paths.
    template
        Template of the route that was chosen, None before that.
    scope
        The scope that the route used, None before that.
    shed
        Why the request was refused without a look at it: ``overloaded`` or ``limited``; None: it
        was not.
    is_signed_in
        Whether the caller is known by a session instead of a key.
    """

    caller: Caller | None
    template: str | None = None
    scope: str | None = None
    shed: str | None = None
    is_signed_in: bool = False


def is_public(scope: Scope) -> bool:
    """Return whether a request may be for one of :data:`PUBLIC_ROUTES`, by its path.

    The route that is chosen for it decides (:func:`check_route`).
    """
    path = scope["path"]
    return path in (SIGN_IN, SIGN_OUT) or path.startswith(f"{STATIC}/")


def access_of(scope: Scope) -> Access:
    """Return the access of a request that passed the guard; without one, that of nobody."""
    state = scope.setdefault("state", {})
    access = state.get("access")
    if not isinstance(access, Access):
        access = state["access"] = Access(None)
    return access


def let_any_key(scope: Scope) -> None:
    """Note that a request needs a key, and none of its scopes: it asks about the server alone."""
    access_of(scope).scope = "any"


async def check_scope(request: Request) -> None:
    """Refuse the request unless its key has a scope of the route; a dependency of all routes.

    Raises
    ------
    ProblemError
        403: the key has none of the scopes, or the route is not declared.
    """
    route = request.scope.get("route")
    check_route(request.scope, request.method, getattr(route, "path", ""))


def check_route(scope: Scope, method: str, template: str) -> None:
    """Refuse a request unless its key has a scope of a route.

    Parameters
    ----------
    scope
        The ASGI scope.
    method
        Method of the request.
    template
        Template of the route, such as ``/v1/plans/{name}``.

    Raises
    ------
    ProblemError
        403: the key has none of the scopes, or the route is not declared.
    """
    access = access_of(scope)
    access.template = template
    if template in OPEN_PATHS:
        return
    if (method, template) in PUBLIC_ROUTES:
        access.scope = "any"
        return
    _use(access, ROUTE_SCOPES.get((method, template), ()))


def require_scope(request: Request, name: str) -> None:
    """Refuse the request unless its key has a scope; for routes that may use one of several.

    Raises
    ------
    ProblemError
        403: the key has it not.
    """
    _use(access_of(request.scope), (name,))


def _use(access: Access, scopes: tuple[str, ...]) -> None:
    scopes_of_key = access.caller.scopes if access.caller is not None else frozenset()
    usable = [name for name in scopes if name in scopes_of_key]
    if usable:
        access.scope = usable[0]
        return
    if not scopes:
        raise ProblemError(403, "scope-needed", "no key may call this route of the server")
    wanted = " or ".join(f"'{name}'" for name in scopes)
    raise ProblemError(
        403,
        "scope-needed",
        f"the key has not the scope {wanted}; its scopes are "
        f"{', '.join(sorted(scopes_of_key)) or 'none'}. Whoever runs the server can make a key "
        "that has it: stagecast keys create NAME --scopes ...",
    )


class DeclaredApp:
    """An ASGI application that is mounted, as a route of its own in :data:`ROUTE_SCOPES`.

    Parameters
    ----------
    app
        The application.
    template
        Where it is mounted.
    """

    def __init__(self, app: ASGIApp, template: str) -> None:
        self._app, self._template = app, template

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope.get("method") == "HEAD" else str(scope.get("method"))
        if method == "GET":
            check_route(scope, method, self._template)
        await self._app(scope, receive, send)


def undeclared(app: FastAPI) -> list[str]:
    """Return the routes of an application whose scope is not declared, as ``GET /path``."""
    return [
        f"{method} {path}"
        for method, path in routes_of(app)
        if path not in OPEN_PATHS
        and (method, path) not in PUBLIC_ROUTES
        and (method, path) not in ROUTE_SCOPES
    ]


def routes_of(app: FastAPI) -> list[tuple[str, str]]:
    """Return method and template of every route of an application."""
    return [
        (method, path)
        for route in single_routes(app.routes)
        for path in [str(getattr(route, "path", route))]
        for method in sorted(getattr(route, "methods", None) or {"GET"})
    ]


def single_routes(routes: Iterable[BaseRoute]) -> Iterable[BaseRoute]:
    """Yield routes with those of the routers among them in their place."""
    for route in routes:
        # FastAPI keeps the router that was included, or copies its routes, by version
        included = getattr(route, "original_router", None)
        if included is not None and not isinstance(route, APIRoute):
            yield from single_routes(included.routes)
        else:
            yield route
