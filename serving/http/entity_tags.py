"""Entity tags of answers about a run: a caller who has the answer already gets 304 and no body.

A run does not change once it is published, except that customers are erased from it. So the tag is
that of the run, of what was asked for, and of the last erasure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stagecast.serving.http.languages import display_of
from stagecast.serving.store.erased import erasure_count
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.store import Store

TAGS_MAX = 100


def tag_of(request: Request, store: Store, run: Run, form: str = "json", *, newest: int = 0) -> str:
    """Return the entity tag of an answer.

    Parameters
    ----------
    request
        What is asked for, and in which language.
    store
        The store, which knows the last erasure.
    run
        The run that the answer is about.
    form
        Form of the answer, such as ``csv``.
    newest
        Id of the newest run, where the answer depends on other runs too.
    """
    with store.engine.connect() as connection:
        erased = erasure_count(connection)
    display = display_of(request)
    parameters = sorted(request.query_params.multi_items())
    parts = (
        version("stagecast"), run.id, run.published_at, newest, erased, request.url.path,
        parameters, form, display,
    )  # fmt: skip
    return f'W/"{run.id}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:20]}"'


def tagged(
    request: Request, store: Store, run: Run, answer: Callable[[], dict[str, Any]]
) -> Response:
    """Return an answer about a run as JSON, with its tag; 304 where the caller has it.

    Its figures may compare the run with others, so that the tag is another one with each new run.
    """
    newest = store.current_run()
    tag = tag_of(request, store, run, newest=0 if newest is None else newest.id)
    known = unchanged(request, tag)
    if known is not None:
        return known
    content = msgspec.json.encode(answer())
    return Response(content, headers={"ETag": tag}, media_type="application/json")


def unchanged(request: Request, tag: str, vary: str | None = None) -> Response | None:
    """Return the 304 for a caller who has the answer with this tag; None: they have not."""
    header = request.headers.get("if-none-match", "")
    tags = [text.strip() for text in header.split(",")[:TAGS_MAX]]
    if "*" not in tags and tag.removeprefix("W/") not in (text.removeprefix("W/") for text in tags):
        return None
    headers = {"ETag": tag} | ({} if vary is None else {"Vary": vary})
    return Response(status_code=304, headers=headers)
