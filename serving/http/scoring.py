"""The answer to a request for scores: from the bytes of the body to those of the answer."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import UTC, datetime
from functools import partial

import anyio.to_thread
import msgspec

from stagecast.features.errors import StagecastError
from stagecast.serving.http.clean_bodies import read_score
from stagecast.serving.http.contract_checks import add_warnings, refuse_meant_otherwise
from stagecast.serving.http.incoming import ScoreRequest
from stagecast.serving.http.micro_batches import Asked
from stagecast.serving.http.partial import (
    PartialScores,
    clock_of,
    equal_events_of,
    partial_scores,
    refuse_other_currency,
)
from stagecast.serving.http.problems import ProblemError, without_values
from stagecast.serving.http.state import State, scorer_of
from stagecast.serving.store.protocols import ScorerLike

SHORT_BODY = 16_384
"""Length of a body in bytes up to which the request of one customer may be scored with others."""


async def answer_score(
    state: State, raw: bytes, *, with_reasons: bool, strict: bool, client: Hashable = None
) -> bytes:
    """Return the answer to a request for scores, as JSON.

    Parameters
    ----------
    state
        State of the server.
    raw
        The body.
    with_reasons
        Whether to compute the reasons.
    strict
        Whether one customer who cannot be scored makes the request fail.
    client
        The connection that the request came by; None: unknown.

    Raises
    ------
    ProblemError
        There is no model, or the body is refused.
    """
    scorer = scorer_of(state)
    if strict and len(raw) <= SHORT_BODY and raw.count(b"customer_id") == 1:
        reader = _Reader(scorer, raw)
        answered = await state.micro_batches.score(Asked(scorer, reader, with_reasons, client))
        add_warnings(scorer, reader.request, answered.scores)
        return _answer(scorer, PartialScores(answered.as_of, answered.scores, []))
    # decoding a long body takes time too: both run in a thread, so that the loop stays free
    score = partial(
        score_json, scorer, raw, datetime.now(UTC), with_reasons=with_reasons, strict=strict
    )
    return await anyio.to_thread.run_sync(score)


def score_json(
    scorer: ScorerLike, raw: bytes, default_as_of: datetime, *, with_reasons: bool, strict: bool
) -> bytes:
    """Return the answer to a body, as JSON.

    Parameters
    ----------
    scorer
        The model.
    raw
        The body.
    default_as_of
        The as_of if the body has none.
    with_reasons, strict
        See :func:`answer_score`.

    Raises
    ------
    ProblemError
        The body is refused.
    """
    if strict:
        result = _all_scores(scorer, raw, default_as_of, with_reasons=with_reasons)
    else:
        result = partial_scores(
            scorer,
            raw,
            default_as_of,
            equal_events=equal_events_of(scorer),
            with_reasons=with_reasons,
        )
    return _answer(scorer, result)


class _Reader:
    """Reads a body when it is its turn to be scored, and keeps what it read for the warnings."""

    def __init__(self, scorer: ScorerLike, raw: bytes) -> None:
        self._scorer, self._raw = scorer, raw
        self.request: ScoreRequest | None = None

    def __call__(self, default_as_of: datetime) -> ScoreRequest:
        self.request = _read(self._scorer, self._raw, default_as_of)
        return self.request


def _answer(scorer: ScorerLike, result: PartialScores) -> bytes:
    answer = {
        "model_version": scorer.model_version,
        "as_of": result.as_of.isoformat().replace("+00:00", "Z"),
        "scores": result.scores,
        "errors": result.errors,
    }
    return msgspec.json.encode(answer)


def _read(scorer: ScorerLike, raw: bytes, default_as_of: datetime) -> ScoreRequest:
    """Return the customers of a body; raises a ProblemError where one of them cannot be read."""
    request = read_score(raw, default_as_of, clock_of(scorer), equal_events=equal_events_of(scorer))
    refuse_other_currency(scorer, request.currency)
    refuse_meant_otherwise(scorer, request.customers)
    return request


def _all_scores(
    scorer: ScorerLike, raw: bytes, default_as_of: datetime, *, with_reasons: bool
) -> PartialScores:
    """Return the scores of all customers; raises a ProblemError where one cannot be scored."""
    request = _read(scorer, raw, default_as_of)
    try:
        scores = scorer.score_objects(request.customers, request.as_of, with_reasons=with_reasons)
    except StagecastError as error:
        raise ProblemError(422, "scoring-refused", without_values(str(error))) from None
    add_warnings(scorer, request, scores)
    return PartialScores(request.as_of, scores, [])
