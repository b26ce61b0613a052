"""The parameter ``fields``: which fields of a score are asked for."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from stagecast.features.errors import did_you_mean
from stagecast.serving.http.problems import Fault, ProblemError
from stagecast.serving.scoring import score_schema
from stagecast.serving.store.published_runs import Run

FieldsQuery = Annotated[
    str | None,
    Query(
        max_length=4096,
        description="names of the fields of a score that are asked for, separated by commas",
    ),
]


def fields_of(text: str | None, run: Run) -> tuple[str, ...] | None:
    """Return the names in a list of fields, each once; None: all fields.

    Parameters
    ----------
    text
        Names of columns of a score, separated by commas.
    run
        The run, whose scheme has the stages of ``p_stage_<id>``.

    Raises
    ------
    ProblemError
        422: a score has no such field.
    """
    if text is None or not text.strip():
        return None
    names = dict.fromkeys(part.strip() for part in text.split(","))
    columns = [column.name for column in score_schema.columns(run.stage_ids)]
    known = [*columns, "next_stage_likeliest"]
    for place, name in enumerate(names, 1):
        if name not in known:
            problem = f"field {place} is none of a score.{did_you_mean(name[:100], known)}"
            fault = Fault("query.fields", problem, name)
            raise ProblemError(422, "query-refused", f"query.fields: {problem}", faults=[fault])
    return tuple(names)
