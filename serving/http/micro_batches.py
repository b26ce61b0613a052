"""Requests that wait together are scored together.

A batch of arrays takes about as long for thirty customers as for one. A request therefore waits
until the event loop has taken in what has arrived beside it, which is no time where nothing has,
and those that arrive while a batch is being scored make up the next one. Each has the answer that
it would have alone: a score does not depend on its neighbours.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import anyio.to_thread

from stagecast.features.errors import StagecastError
from stagecast.serving.http.incoming import ScoreRequest
from stagecast.serving.http.problems import ProblemError, without_values
from stagecast.serving.store.protocols import ScorerLike

MOST_TOGETHER = 256
"""Most requests of a batch."""
FEW_TOGETHER = 3
"""Up to this many requests without reasons are scored on the event loop: it costs them less than
the way to a thread and back costs one, and others wait no longer than a few milliseconds."""


@dataclass(frozen=True)
class Asked:
    """A request for scores, which is for one customer as a rule.

    Parameters
    ----------
    scorer
        The model when the request arrived.
    read
        Returns the as_of and the customers, given the present; raises ProblemError.
    with_reasons
        Whether to compute the reasons.
    """

    scorer: ScorerLike
    read: Callable[[datetime], ScoreRequest]
    with_reasons: bool


@dataclass(frozen=True)
class Answered:
    """The scores of a request, and their as_of."""

    as_of: datetime
    scores: list[dict[str, Any]]


Outcome = Answered | Exception


class MicroBatches:
    """Requests that wait, and the task that scores them."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Asked, asyncio.Future[Answered]]] = []
        self._task: asyncio.Task[None] | None = None

    async def score(self, asked: Asked) -> Answered:
        """Return the scores of a request, once those that wait beside it are scored as well.

        Raises
        ------
        ProblemError
            A customer cannot be read or scored.
        """
        future: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)
            batch = self._waiting[:MOST_TOGETHER]
            del self._waiting[:MOST_TOGETHER]
            everyone = [asked for asked, _ in batch]
            if len(batch) <= FEW_TOGETHER and not any(asked.with_reasons for asked in everyone):
                outcomes = score_together(everyone)
            else:
                outcomes = await anyio.to_thread.run_sync(score_together, everyone)
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if future.done():
                    continue  # the client has gone
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)


def score_together(everyone: Sequence[Asked]) -> list[Outcome]:
    """Return the scores of each request, or what is wrong with it, in the same order.

    Requests without an as_of of their own stand at the present.
    """
    now = datetime.now(UTC)
    outcomes: dict[int, Outcome] = {}
    groups: dict[tuple[int, datetime, bool], dict[int, ScoreRequest]] = defaultdict(dict)
    for position, asked in enumerate(everyone):
        try:
            request = asked.read(now)
        except Exception as error:
            outcomes[position] = error
        else:
            groups[id(asked.scorer), request.as_of, asked.with_reasons][position] = request
    for (_, _, with_reasons), requests in groups.items():
        scorer = everyone[next(iter(requests))].scorer
        scored = _scored(scorer, list(requests.values()), with_reasons=with_reasons)
        outcomes.update(zip(requests, scored, strict=True))
    return [outcomes[position] for position in range(len(everyone))]


def _scored(
    scorer: ScorerLike, requests: Sequence[ScoreRequest], *, with_reasons: bool
) -> list[Outcome]:
    """Return the scores of requests of one as_of; each alone where one of them fails."""
    as_of = requests[0].as_of
    customers = [customer for request in requests for customer in request.customers]
    try:
        scores = iter(scorer.score_objects(customers, as_of, with_reasons=with_reasons))
        return [Answered(as_of, list(islice(scores, len(r.customers)))) for r in requests]
    except Exception as error:
        if len(requests) > 1:
            alone = (_scored(scorer, [r], with_reasons=with_reasons) for r in requests)
            return [outcome for (outcome,) in alone]
        if isinstance(error, StagecastError):
            return [ProblemError(422, "scoring-refused", without_values(str(error)))]
        return [error]
