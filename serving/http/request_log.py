"""What a server writes of its requests: lines without ids, values or tracebacks of callers' data.

An error of the server is one line with its kind and the places in the code, since the text of an
exception can hold a customer's id; a client who goes away is one line too.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stagecast.serving.http.access import ROUTE_SCOPES, Access, access_of
from stagecast.serving.http.door import Door
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.http.request_ids import id_of, request_id, with_id
from stagecast.serving.metrics.meter import Meter

AUDITED = frozenset({"plan", "export", "admin", "sign-in", "sign-out"})
"""What is a line of the audit log."""
CLIENT_GONE = 499
"""Status in the log of a request whose client went away, as other servers write it."""
FRAMES_MAX = 12
_ROOT = Path(__file__).parents[2]
_logger = logging.getLogger("stagecast.server")


class RequestLog:
    """Runs an application, and writes what came of each request.

    Parameters
    ----------
    door
        Its clock, its audit log, and the hash of customers.
    meter
        Counts each request.
    with_access
        Whether each request is a line on stderr.
    """

    def __init__(self, door: Door, meter: Meter, *, with_access: bool = False) -> None:
        self._door, self._meter, self._with_access = door, meter, with_access

    async def run(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        status, begin = 0, time.perf_counter()
        own_id = id_of(scope["headers"])
        token = request_id.set(own_id)
        scope.setdefault("state", {})["request_id"] = own_id
        send = with_id(send, own_id)
        self._meter.inside += 1

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive, send_noting)
        except ClientDisconnect:
            status = CLIENT_GONE
            _logger.warning("the client went away: %s %s", scope["method"], template_of(scope))
        except asyncio.CancelledError:
            # the server stops, and this request has had its time; nobody waits for this task
            _logger.warning("stopped before the answer: %s %s", scope["method"], template_of(scope))
            if not status:
                await _stopping().response()(scope, receive, send_noting)
        except Exception as error:
            _logger.error(
                "error in %s %s: %s", scope["method"], template_of(scope), places_of(error)
            )
        finally:
            access, seconds = access_of(scope), time.perf_counter() - begin
            self._meter.inside -= 1
            self._meter.count(scope["method"], template_of(scope), status, seconds, access.shed)
            if self._with_access:
                fields = _fields(scope, access, status, seconds)
                _logger.info("request", extra={"fields": fields})
            self._audit(scope, access, status)
            request_id.reset(token)

    def _audit(self, scope: Scope, access: Access, status: int) -> None:
        event = access.scope
        if event is None and status == 403 and access.template is not None:
            wanted = ROUTE_SCOPES.get((scope["method"], access.template), ())
            event = "refused" if AUDITED.intersection(wanted) else None
        if access.caller is None or event not in {*AUDITED, "refused"}:
            return
        parameters = scope.get("path_params", {})
        customer_id, plan = parameters.get("customer_id"), parameters.get("name")
        self._door.audit.write(
            event,
            self._door.clock(),
            key=access.caller.key_id,
            request_id=request_id.get(),
            method=scope["method"],
            route=template_of(scope),
            status=status,
            customer=None if customer_id is None else self._door.hash_of(str(customer_id)),
            plan=None if plan is None else str(plan)[:100],
        )


def _stopping() -> ProblemError:
    headers = {"Retry-After": "5", "Connection": "close"}
    return ProblemError(503, "draining", "the server was told to stop", headers=headers)


def template_of(scope: Scope) -> str:
    """Return the template of the route of a request, ``-`` where none was chosen."""
    return access_of(scope).template or "-"


def places_of(error: BaseException) -> str:
    """Return the kind of an error and the places that it came through, the last first.

    Parameters
    ----------
    error
        The error; its text is left out, and that of its causes.
    """
    kinds: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(kinds) < FRAMES_MAX:
        kinds.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    frames = traceback.extract_tb(error.__traceback__)[::-1][:FRAMES_MAX]
    places = [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]
    return f"{' from '.join(kinds)} at {' < '.join(places)}"


def _short(filename: str) -> str:
    path = Path(filename)
    if path.is_relative_to(_ROOT):
        return path.relative_to(_ROOT).as_posix()
    return "/".join(path.parts[-2:])


def _fields(scope: Scope, access: Access, status: int, seconds: float) -> dict[str, Any]:
    return {
        "method": scope["method"],
        "route": access.template or "-",
        "status": status,
        "ms": round(seconds * 1000, 1),
        "key": None if access.caller is None else access.caller.key_id,
    }
