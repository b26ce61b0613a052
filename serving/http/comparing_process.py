"""The process that asks a model beside the one that answers.

``python -m stagecast.serving.http.comparing_process`` reads its job as a line of JSON on stdin
(folder of the bundle, folder for reports, what it is for), rehearses the bundle, and prints its
version. Then it reads answers, each with its length before it, scores the same customers, and
writes the pairs every second into a file of its own. It ends when stdin does.
"""

from __future__ import annotations

import json
import logging
import logging.config
import os
import random
import sys
import threading
import time
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from stagecast.features.errors import StagecastError
from stagecast.features.requests import CustomerEvents
from stagecast.serving.follow.beside import PAIRS, Message, replace_file
from stagecast.serving.follow.pairs import Pairs, values_of
from stagecast.serving.http.bodies import decode_parts
from stagecast.serving.http.incoming import as_of_of
from stagecast.serving.http.json_lines import LOG_CONFIG
from stagecast.serving.http.partial import (
    clock_of,
    equal_events_of,
    refuse_other_currency,
    score_each,
)
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.scoring.rehearsal import rehearse
from stagecast.serving.scoring.scorer import load_scorer
from stagecast.serving.store.protocols import ScorerLike

LOWER_PRIORITY = 10
WRITE_SECONDS = 1.0
LOG_EVERY = 1_000
"""After so many scores a line of the log says how far the models are apart."""
REMEMBERED = 100_000
"""Customers up to which each is compared once; only keyed hashes of their ids are in memory."""
_logger = logging.getLogger("stagecast.server")


class Timed:
    """A scorer that counts the processor time of its scores, in seconds."""

    def __init__(self, scorer: ScorerLike) -> None:
        self._scorer, self.seconds = scorer, 0.0
        self.model_version, self.card = scorer.model_version, scorer.card
        self.scheme, self.horizon_days = scorer.scheme, scorer.horizon_days
        self.score_customers = scorer.score_customers

    def score_objects(
        self, customers: Sequence[CustomerEvents], as_of: datetime, *, with_reasons: bool = True
    ) -> list[dict[str, Any]]:
        """Return the scores; see :class:`stagecast.serving.store.protocols.ScorerLike`."""
        begin = time.thread_time()
        try:
            return self._scorer.score_objects(customers, as_of, with_reasons=with_reasons)
        finally:
            self.seconds += time.thread_time() - begin


class Comparing:
    """Compares answers with what a model says.

    Parameters
    ----------
    scorer
        The model beside.
    what
        ``shadow`` or ``canary``, for the log.
    """

    def __init__(self, scorer: ScorerLike, what: str) -> None:
        self.pairs: dict[str, Pairs] = {}
        self._timed, self._what = Timed(scorer), what
        self._chance = random.Random(1)
        self._key = os.urandom(8)
        self._compared: dict[str, set[int]] = {}

    def compare(self, message: Message) -> None:
        """Score the customers of an answer, and add the pairs; a failure is counted."""
        pairs = self.pairs.setdefault(
            message.version, Pairs(message.version, self._timed.model_version)
        )
        compared = self._compared.setdefault(message.version, set())
        rows = {
            name: values for name, values in message.rows if hash((self._key, name)) not in compared
        }
        if not rows:
            return
        begin = self._timed.seconds
        try:
            scores = self._scores(message, rows)
        except ProblemError:
            pairs.fail("refused", len(rows))
            return
        except Exception as error:  # whatever is wrong with a model is what we are here to count
            pairs.fail(type(error).__name__, len(rows))
            return
        if len(scores) < len(rows):
            pairs.fail("refused", len(rows) - len(scores))
        if message.seconds is not None:
            pairs.timed += len(scores)
            pairs.seconds_beside += self._timed.seconds - begin
            pairs.seconds_answered += message.seconds * len(scores)
        before = pairs.scores // LOG_EVERY
        for score in scores:
            name = score["customer_id"]
            pairs.add(rows[name], values_of(score), self._chance)
            if len(compared) < REMEMBERED:
                compared.add(hash((self._key, name)))
        if pairs.scores // LOG_EVERY > before:
            self._log(pairs)

    def _scores(self, message: Message, names: Container[str]) -> Sequence[Mapping[str, Any]]:
        """Return the scores of the named customers of a body whom the model does not refuse."""
        scorer, body = self._timed, decode_parts(message.raw)
        as_of = as_of_of(body.as_of, message.as_of, clock_of(scorer))
        refuse_other_currency(scorer, body.currency)
        scored = score_each(
            scorer,
            body.customers,
            as_of,
            equal_events=equal_events_of(scorer),
            with_reasons=message.with_reasons,
            only=names.__contains__,
        )
        return list(scored.scores.values())

    def _log(self, pairs: Pairs) -> None:
        report = pairs.report()
        _logger.info(
            "%s: %d scores compared",
            self._what,
            pairs.scores,
            extra={"fields": {"answered": pairs.answered, "beside": pairs.beside, **report}},
        )


class Reports:
    """Writes the pairs of each model that answered into a file of its own, while they change."""

    def __init__(self, comparing: Comparing, folder: Path) -> None:
        self._comparing, self._folder = comparing, folder
        self._written: dict[str, int] = {}
        self.lock = threading.Lock()

    def write(self) -> None:
        """Write what has changed."""
        with self.lock:
            contents = {
                version: msgspec.json.encode(pairs)
                for version, pairs in self._comparing.pairs.items()
                if self._written.get(version) != pairs.seen
            }
            self._written.update(
                (version, self._comparing.pairs[version].seen) for version in contents
            )
        for version, content in contents.items():
            replace_file(self._folder / f"{os.getpid()}-{version}{PAIRS}", content)

    def keep_written(self) -> None:
        """Write every second, until the process ends or the folder is gone."""
        while True:
            time.sleep(WRITE_SECONDS)
            try:
                self.write()
            except OSError as error:
                _logger.warning("pairs of scores cannot be written: %s", error.strerror)


def read_messages(stream: BinaryIO, comparing: Comparing, lock: threading.Lock) -> None:
    """Compare the answers of a stream until it ends."""
    while len(head := stream.read(4)) == 4:
        length = int.from_bytes(head, "big")
        content = stream.read(length)
        if len(content) < length:
            return
        message = msgspec.msgpack.decode(content, type=Message)
        with lock:
            comparing.compare(message)


def main() -> int:
    """Read the job and do it; return the exit code."""
    logging.config.dictConfig(LOG_CONFIG)
    job = json.loads(sys.stdin.buffer.readline())
    os.nice(LOWER_PRIORITY)
    folder = Path(job["model"])
    try:
        scorer = load_scorer(folder)
        rehearse(scorer, str(folder))
    except StagecastError as error:
        _say({"problem": str(error)[:500]})
        return error.exit_code
    comparing = Comparing(scorer, job["what"])
    reports = Reports(comparing, Path(job["reports"]))
    threading.Thread(target=reports.keep_written, daemon=True).start()
    _say({"version": scorer.model_version})
    read_messages(sys.stdin.buffer, comparing, reports.lock)
    return 0


def _say(content: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
