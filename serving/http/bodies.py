"""Request bodies: read up to a limit and decoded strictly; errors name the place and the value.

msgspec decodes without converting types: ``NaN``, ``1e400``, lone surrogates and too deep nesting
are errors of the caller, not of the server.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from stagecast.features.errors import did_you_mean
from stagecast.features.shop.customer_ids import LONGEST_ID, clean_id
from stagecast.serving.http.compressed import inflater
from stagecast.serving.http.problems import Fault, ProblemError
from stagecast.serving.quoting import quote

CUSTOMERS_MAX, EVENTS_MAX, ID_LENGTH_MAX = 1_000, 10_000, LONGEST_ID
JOB_CUSTOMERS_MAX = 100_000

_Body = TypeVar("_Body")
_Text = Annotated[str, msgspec.Meta(max_length=256)]
_Id = Annotated[
    str, msgspec.Meta(min_length=1, max_length=ID_LENGTH_MAX, description="the customer, as text")
]
CurrencyCode = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
_Instant = Annotated[
    str,
    msgspec.Meta(
        max_length=64,
        description="ISO 8601 date or date-time; a date is its midnight; without a zone it is in "
        "the zone of the model, UTC unless it was trained with one",
        examples=["1997-06-01T00:00:00Z"],
    ),
]


class EventBody(msgspec.Struct, forbid_unknown_fields=True):
    """One thing that the customer did."""

    timestamp: _Instant
    event: Annotated[
        str,
        msgspec.Meta(
            min_length=1, max_length=256, description="its type, like purchase, refund or visit"
        ),
    ] = "purchase"
    amount: Annotated[
        float | None, msgspec.Meta(description="money; how much was paid back, for a refund")
    ] = None
    channel: _Text | None = None
    recorded_at: _Instant | None = None
    event_id: _Text | None = None
    category: Annotated[_Text | None, msgspec.Meta(description="what was bought or looked at")] = (
        None
    )
    discount: Annotated[float | None, msgspec.Meta(description="money taken off the price")] = None


class CustomerBody(msgspec.Struct, forbid_unknown_fields=True):
    """One customer with their events, in any order."""

    customer_id: _Id
    events: Annotated[list[EventBody], msgspec.Meta(max_length=EVENTS_MAX)]
    attributes: Annotated[
        dict[str, Any],
        msgspec.Meta(
            description="facts about the customer; those declared as known at the start are used"
        ),
    ] = {}


class ScoreBody(msgspec.Struct, forbid_unknown_fields=True):
    """Raw events of the customers to score."""

    customers: Annotated[list[CustomerBody], msgspec.Meta(min_length=1, max_length=CUSTOMERS_MAX)]
    as_of: Annotated[
        _Instant | None,
        msgspec.Meta(
            description="the instant to stand at; nothing at or after it is seen; left out: now"
        ),
    ] = None
    currency: Annotated[
        CurrencyCode | None,
        msgspec.Meta(
            description="currency of the amounts, as in the training; another one is refused",
            examples=["EUR"],
        ),
    ] = None


class LookupBody(msgspec.Struct, forbid_unknown_fields=True):
    """The customers to look up."""

    customer_ids: Annotated[list[_Id], msgspec.Meta(min_length=1, max_length=CUSTOMERS_MAX)]


_score_decoder = msgspec.json.Decoder(ScoreBody)
_lookup_decoder = msgspec.json.Decoder(LookupBody)


async def read_body(request: Request, limit: int) -> bytes:
    """Return :func:`receive_body` of a request to a route."""
    seconds = request.app.state.stagecast.settings.body_seconds
    return await receive_body(request.headers, request.receive, limit, seconds)


async def receive_body(
    headers: Mapping[str, str], receive: Receive, limit: int, seconds: float
) -> bytes:
    """Return the body of a request.

    Parameters
    ----------
    headers
        Headers of the request.
    receive
        Returns the next part of the body.
    limit
        Maximum length, in bytes; of a compressed body that of its content.
    seconds
        How long the body may take.

    Raises
    ------
    ProblemError
        413: the body is longer than ``limit``, with or without a Content-Length header; 408: it
        did not arrive in time; 415, 400: it is compressed otherwise than by gzip, or damaged.
    starlette.requests.ClientDisconnect
        The client went away.
    """
    content_length = headers.get("content-length", "")
    if content_length.isdecimal() and (len(content_length) > 18 or int(content_length) > limit):
        raise _too_long(limit)
    inflate = inflater(headers.get("content-encoding"))
    parts: list[bytes] = []
    length = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                part: bytes = message.get("body", b"")
                if inflate is not None and part:
                    part = inflate(part, limit + 1 - length)
                parts.append(part)
                length += len(part)
                if length > limit:
                    raise _too_long(limit)
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise ProblemError(
            408,
            "body-too-slow",
            f"the body was not here within {seconds:g} s; send fewer customers at a time",
            headers={"Connection": "close"},
        ) from None
    if inflate is not None:
        inflate.check_end()
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_long(limit: int) -> ProblemError:
    return ProblemError(
        413,
        "body-too-long",
        f"the body is longer than {limit} bytes; send fewer customers at a time",
    )


def decode_lookup(body: bytes) -> list[str]:
    """Return the customer ids in the body of a lookup, without duplicates.

    Raises
    ------
    ProblemError
        See :func:`decode_score`.
    """
    asked = decode_strictly(_lookup_decoder, body, LookupBody).customer_ids
    return list(dict.fromkeys(map(clean_id, asked)))


def decode_score(body: bytes) -> ScoreBody:
    """Return the decoded body of a scoring request.

    :mod:`stagecast.serving.http.incoming` interprets its events.

    Raises
    ------
    ProblemError
        400: the body is not JSON; 422: a field is missing, unknown or of another type.
    """
    return decode_strictly(_score_decoder, body, ScoreBody)


class PartsBody(msgspec.Struct, forbid_unknown_fields=True):
    """A :class:`ScoreBody` whose customers are decoded one by one."""

    customers: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=CUSTOMERS_MAX)]
    as_of: _Instant | None = None
    currency: CurrencyCode | None = None


class JobBody(msgspec.Struct, forbid_unknown_fields=True):
    """A :class:`PartsBody` of more customers."""

    customers: Annotated[
        list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=JOB_CUSTOMERS_MAX)
    ]
    as_of: _Instant | None = None
    currency: CurrencyCode | None = None


_job_decoder = msgspec.json.Decoder(JobBody)


def decode_job(body: bytes) -> JobBody:
    """Return the decoded body of a job, its customers as they are written.

    Raises
    ------
    ProblemError
        See :func:`decode_score`.
    """
    return decode_strictly(_job_decoder, body, ScoreBody)


_parts_decoder = msgspec.json.Decoder(PartsBody)
_customer_decoder = msgspec.json.Decoder(CustomerBody)


def decode_parts(body: bytes) -> PartsBody:
    """Return the decoded body of a scoring request, its customers as they are written.

    Raises
    ------
    ProblemError
        See :func:`decode_score`.
    """
    return decode_strictly(_parts_decoder, body, ScoreBody)


def decode_customer(body: msgspec.Raw, position: int) -> CustomerBody | Fault:
    """Return a customer of a body, or why they cannot be decoded.

    Parameters
    ----------
    body
        The customer as they are written.
    position
        Their place in the body, which the fault names.
    """
    try:
        return _customer_decoder.decode(body)
    except msgspec.ValidationError as error:
        fault = _fault(str(error), bytes(body), CustomerBody)
        inside = "" if fault.where == "the body" else f".{fault.where}"
        return Fault(f"customers[{position}]{inside}", fault.problem, fault.value)


def body_problem(faults: list[Fault]) -> ProblemError:
    """Return the 422 of a body with these faults; its detail describes the first of them."""
    first = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return ProblemError(422, "body-refused", f"{first.where}: {first.problem}{more}", faults=faults)


def decode_strictly(decoder: msgspec.json.Decoder[_Body], body: bytes, struct: type[Any]) -> _Body:
    """Return a decoded body.

    Parameters
    ----------
    decoder
        Of the struct.
    body
        The bytes.
    struct
        What is decoded; its field names are proposed where one is not known.

    Raises
    ------
    ProblemError
        400: the body is not JSON; 422: a field is missing, unknown or of another type.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise body_problem([_fault(str(error), body, struct)]) from None
    except RecursionError:
        raise ProblemError(400, "not-json", "the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProblemError(400, "not-json", f"the body is not JSON: {quote(str(error))}") from None


_MESSAGE = re.compile(r"^(?P<problem>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_UNKNOWN_FIELD = re.compile(r"^Object contains unknown field `(?P<name>.*)`$", re.DOTALL)
_PATH_STEP = re.compile(r"\[(\d+)\]|\.?([^.\[\]]+)")


def _fault(message: str, body: bytes, struct: type[Any]) -> Fault:
    """Return the fault that an error message of msgspec describes, with the value and a hint."""
    match = _MESSAGE.match(message)
    problem, path = (match["problem"], match["path"] or "") if match else (message, "")
    location = path.removeprefix(".") or "the body"
    if unknown_field := _UNKNOWN_FIELD.match(problem):
        field_names = sorted(
            {
                field
                for body_struct in (struct, CustomerBody, EventBody)
                for field in body_struct.__struct_fields__
            }
        )
        name = unknown_field["name"][:256]
        return Fault(
            location, f"has a field that is not known.{did_you_mean(name, field_names)}", name
        )
    if location.endswith(("customer_id", "customer_ids[...]")) and "Expected `str`" in problem:
        problem += '; customer ids are text: write "17850", with quotes'
    return Fault(location, problem, _value_at(body, path))


def _value_at(body: bytes, path: str) -> str | None:
    """Return the value at a path like ``.customers[0].events[3].amount``; None for a container."""
    if "..." in path:
        return None
    try:
        value = msgspec.json.decode(body)
        for index, name in _PATH_STEP.findall(path):
            value = value[int(index)] if index else value[name]
    except (msgspec.DecodeError, RecursionError, LookupError, TypeError, ValueError):
        return None
    return (
        None if isinstance(value, dict | list) else value if isinstance(value, str) else repr(value)
    )
