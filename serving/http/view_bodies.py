"""Body of a view that is saved, and what it has to hold."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from pydantic import ValidationError

from stagecast.serving.http.bodies import body_problem, decode_strictly
from stagecast.serving.http.list_links import parameters_of
from stagecast.serving.http.lists import ListQuery
from stagecast.serving.http.problems import Fault
from stagecast.serving.http.schema_parts import object_schema
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.saved_views import NAME_LENGTH_MAX

_Value = Annotated[str, msgspec.Meta(max_length=256)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_LENGTH_MAX)]
EXAMPLES: dict[str, Any] = {
    "SavedViewBody": {
        "name": "Loyal, by value",
        "parameters": {"stage": ["loyal"], "sort": "-clv", "column": ["stage", "clv"]},
    }
}


class SavedViewBody(msgspec.Struct, forbid_unknown_fields=True):
    """A view: its name, and parameters of `GET /v1/customers` but for the beginning of an id."""

    name: _Name
    parameters: dict[str, _Value | list[_Value]]


_decoder = msgspec.json.Decoder(SavedViewBody)


def decode_view(raw: bytes, run: Run | None) -> tuple[str, list[tuple[str, str]]]:
    """Return the name and the parameters of a view.

    Parameters
    ----------
    raw
        The body.
    run
        The current run, whose stages may be named; None: there is none.

    Raises
    ------
    ProblemError
        400: the body is not JSON; 422: it has another shape, the name cannot be shown, or a list
        does not take the parameters.
    """
    body: SavedViewBody = decode_strictly(_decoder, raw, SavedViewBody)
    name = body.name.strip()
    if not name or not name.isprintable():
        raise body_problem([Fault("name", "is blank, or has characters that are not printed")])
    try:
        query = ListQuery.model_validate(body.parameters)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(["parameters", *map(str, first["loc"])])
        raise body_problem([Fault(where, str(first["msg"]))]) from None
    if query.q or query.cursor:
        problem = "is not saved: the beginning of an id may name a customer, and a cursor ends"
        raise body_problem([Fault("parameters", problem)])
    if run is not None:
        query.filters(run)
    return name, parameters_of(query)


def view_schemas() -> dict[str, Any]:
    """Return name -> schema of what the routes of saved views answer."""
    view = object_schema(
        {
            "id": {"type": "integer"},
            "name": {"type": "string"},
            "parameters": {
                "type": "array",
                "items": {"type": "array", "items": {"type": "string"}},
                "description": "pairs of a parameter and its value",
            },
            "link": {"type": "string", "description": "path of the page of the list"},
            "created_at": {"type": "string", "format": "date-time"},
        },
        "A view that somebody saved",
    )
    return {
        "SavedView": view,
        "SavedViewList": object_schema(
            {"views": {"type": "array", "items": view}}, "The saved views, by name"
        ),
    }
