"""What every refusal has to keep, besides what the OpenAPI document says: checks of Schemathesis.

Loaded by the ``schemathesis`` command (``SCHEMATHESIS_HOOKS``), which :mod:`bench.generated` runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import schemathesis

PROBLEM_BYTES = 2_048
"""The longest answer that says what is wrong."""
ECHO_LENGTH = 12
"""A text of this length in an answer did not get there by chance."""


def texts(value: Any) -> Iterator[str]:
    """Yield the texts in what was sent."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts(each)


@schemathesis.check
def problem_is_short_and_no_echo(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """A refusal has at most two kilobytes, and nothing of what was sent."""
    if response.status_code < 400:
        return
    assert len(response.content) <= PROBLEM_BYTES, f"{len(response.content)} bytes of a problem"
    document = json.dumps(case.operation.schema.raw_schema)
    answer = response.content.decode("utf-8", "replace")
    for sent in texts([case.path_parameters, case.query, case.body]):
        if len(sent) >= ECHO_LENGTH and sent not in document:
            assert sent not in answer, f"an answer of {response.status_code} repeats {sent[:40]!r}"
