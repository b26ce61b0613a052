"""Requests that wait together are scored together.

A batch of arrays takes about as long for thirty customers as for one. A request therefore waits
until the event loop has taken in what has arrived beside it, which is no time where nothing has,
and those that arrive while a batch is being scored make up the next one. Each has the answer that
it would have alone: a score does not depend on its neighbours.

Clients who send their next request when they have an answer would split up into two halves that
take turns. So where many have asked in the last two batches, the first of them are held back until
the others are there too, for at most a millisecond (:class:`Gathering`).
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
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
MOST_ON_LOOP, MOST_ON_LOOP_WITH_REASONS = 64, 8
"""Up to this many requests are scored on the event loop: the way to a thread and back costs as much
as one of them, two threads that compute hold each other up, and others wait some milliseconds."""
WAIT_SECONDS = 0.001
"""Longest time for which requests are held back until others are there too."""
FEWEST_GATHERED = 7
"""From so many clients on it pays to wait: fewer customers are scored one after the other."""
LONGEST_REST = 64


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
    client
        The connection that it came by; None: unknown.
    """

    scorer: ScorerLike
    read: Callable[[datetime], ScoreRequest]
    with_reasons: bool
    client: Hashable = None


@dataclass(frozen=True)
class Answered:
    """The scores of a request, their as_of, and the seconds of the processor that each took."""

    as_of: datetime
    scores: list[dict[str, Any]]
    seconds: float = field(default=0.0, compare=False)


Outcome = Answered | Exception
_Waiting = tuple[Asked, asyncio.Future[Answered]]


class Gathering:
    """How many requests a batch should wait for.

    Those who asked in one of the last two batches are expected again. After a wait in vain, some
    batches are scored without one, twice as many each time: clients who ask once, or at leisure,
    are not waited for.
    """

    def __init__(self) -> None:
        self._before: frozenset[Hashable] = frozenset()
        self._last: frozenset[Hashable] = frozenset()
        self._rest, self._next_rest = 0, 1

    @property
    def expected(self) -> int:
        """Number of requests to wait for; 1: none."""
        everyone = len(self._before | self._last)
        return everyone if everyone >= FEWEST_GATHERED and not self._rest else 1

    def scored(self, batch: Sequence[Asked], *, in_vain: bool) -> None:
        """Note a batch.

        Parameters
        ----------
        batch
            Its requests.
        in_vain
            Whether it was waited for, and fewer came than expected.
        """
        self._before, self._last = self._last, frozenset(asked.client for asked in batch)
        if in_vain:
            self._rest, self._next_rest = self._next_rest, min(2 * self._next_rest, LONGEST_REST)
        elif self._rest:
            self._rest -= 1
        elif len(batch) >= FEWEST_GATHERED:
            self._next_rest = 1


class MicroBatches:
    """Requests that wait, and what scores them."""

    def __init__(self) -> None:
        self._gathering = Gathering()
        self._expected = 1
        self._deadline: asyncio.TimerHandle | None = None
        self._waiting: list[_Waiting] = []
        self._is_due = False
        self._in_thread: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Number of requests that wait to be scored."""
        return len(self._waiting)

    async def score(self, asked: Asked) -> Answered:
        """Return the scores of a request, once those that wait beside it are scored as well.

        Raises
        ------
        ProblemError
            A customer cannot be read or scored.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answered] = loop.create_future()
        self._waiting.append((asked, future))
        if not self._is_due:
            self._is_due = True
            # in the round after the next one: the next one reads what has arrived meanwhile
            loop.call_soon(loop.call_soon, self._gather)
        elif self._deadline is not None and len(self._waiting) >= self._expected:
            self._deadline.cancel()
            self._deadline = None
            loop.call_soon(self._score_waiting)
        return await future

    def _gather(self) -> None:
        """Score those who wait, as soon as those who are expected are among them."""
        self._expected = self._gathering.expected
        if len(self._waiting) >= self._expected:
            self._score_waiting()
        else:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(WAIT_SECONDS, self._score_waiting)

    def _score_waiting(self) -> None:
        self._deadline = None
        batch = self._waiting[:MOST_TOGETHER]
        del self._waiting[:MOST_TOGETHER]
        everyone = [asked for asked, _ in batch]
        self._gathering.scored(everyone, in_vain=len(batch) < min(self._expected, MOST_TOGETHER))
        with_reasons = sum(asked.with_reasons for asked in everyone)
        if len(batch) <= MOST_ON_LOOP and with_reasons <= MOST_ON_LOOP_WITH_REASONS:
            _tell(batch, score_together(everyone))
            self._go_on()
        else:
            # the loop keeps no strong reference to its tasks
            self._in_thread = asyncio.get_running_loop().create_task(self._score_in_thread(batch))

    async def _score_in_thread(self, batch: list[_Waiting]) -> None:
        try:
            everyone = [asked for asked, _ in batch]
            _tell(batch, await anyio.to_thread.run_sync(score_together, everyone))
        finally:
            self._go_on()

    def _go_on(self) -> None:
        self._is_due = bool(self._waiting)
        if self._is_due:
            asyncio.get_running_loop().call_soon(self._gather)


def _tell(batch: Sequence[_Waiting], outcomes: Sequence[Outcome]) -> None:
    """Give each request its outcome."""
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
    begin = time.thread_time()
    try:
        scores = iter(scorer.score_objects(customers, as_of, with_reasons=with_reasons))
        seconds = (time.thread_time() - begin) / len(customers)
        return [Answered(as_of, list(islice(scores, len(r.customers))), seconds) for r in requests]
    except Exception as error:
        if len(requests) > 1:
            alone = (_scored(scorer, [r], with_reasons=with_reasons) for r in requests)
            return [outcome for (outcome,) in alone]
        if isinstance(error, StagecastError):
            return [ProblemError(422, "scoring-refused", without_values(str(error)))]
        return [error]
