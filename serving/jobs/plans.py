"""Plans of the command line: made, frozen, written as files, confirmed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from stagecast.features.clock import SHOP, iso, to_utc
from stagecast.features.errors import DataRefusedError, StagecastError, UsageError
from stagecast.features.intake.counted import counted
from stagecast.features.shop.clock import ShopClock
from stagecast.serving.quoting import quote
from stagecast.serving.requests import PlanRequest
from stagecast.serving.settings import load_settings
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.store import Store
from stagecast.serving.store.tables import runs
from stagecast.serving.targeting.learned.terms import with_default_effects, with_learned_effects
from stagecast.serving.targeting.plan.audience import check_audience
from stagecast.serving.targeting.plan.book import PlanBook
from stagecast.serving.targeting.plan.files import Written, write_list
from stagecast.serving.targeting.plan.forecast import Forecast
from stagecast.serving.targeting.plan.results import confirm_sent
from stagecast.serving.targeting.plan.stored import Plan
from stagecast.serving.targeting.plan.uploads import read_upload

FIRST_UNKNOWN = 5
"""Ids without a score that a warning names."""
HOW_TO_PUBLISH = "stagecast run EVENTS --out DIR --publish"


@dataclass(frozen=True)
class MadePlan:
    """A plan that was worked out, and stored if it has a name.

    Parameters
    ----------
    plan
        The draft; None: nothing was stored.
    run
        The scores it is made from.
    forecast
        What is expected of it.
    first
        Ids of the first customers who would be contacted, with their expected gains, in money.
    warnings
        What was asked for and cannot be met, in sentences.
    """

    plan: Plan | None
    run: Run
    forecast: Forecast
    first: tuple[tuple[str, float], ...]
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "name": None if self.plan is None else self.plan.name,
            "as_of": iso(self.run.as_of),
            "model_version": self.run.model_version,
            **self.forecast.to_json(),
            "warnings": list(self.warnings),
        }


@contextmanager
def open_store(url: str | None) -> Iterator[Store]:
    """Open the store that an option or the settings name."""
    store = Store.open(load_settings(store=url).store)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def open_book(url: str | None) -> Iterator[PlanBook]:
    """Open the plans of the store that an option or the settings name."""
    with open_store(url) as store:
        yield PlanBook(store.engine)


def make_plan(request: PlanRequest) -> MadePlan:
    """Work out a plan from the scores that were published last, and store it if it has a name.

    Raises
    ------
    UsageError
        Nothing is published, the name is taken, or the terms cannot be met.
    NotEnoughDataError
        The effects are to be learned, and no closed plan shows any.
    """
    with open_store(request.store) as store:
        run = store.current_run()
        if run is None:
            raise UsageError(f"nothing is published yet; run: {HOW_TO_PUBLISH}")
        starts_at = None
        if request.starts_at is not None:
            starts_at = instant_of(request.starts_at, run.model_path, run.as_of, "--start")
        check_audience(request.terms.audience, run)
        book, plan = PlanBook(store.engine), None
        warnings = _without_score(book, run, request.terms.audience.ids or ())
        terms = request.terms
        if request.effects == "learned":
            terms = with_learned_effects(store.engine, run, terms)
        elif request.effects is None:
            terms = with_default_effects(store.engine, run, terms)
        if request.name is None:
            proposal = book.propose(run, terms, starts_at)
        else:
            plan, proposal = book.create(
                request.name,
                run,
                terms,
                owner=request.owner,
                starts_at=starts_at,
                replace=request.replace,
            )
    members = proposal.members
    first = [
        (str(id_), float(gain))
        for id_, gain, held_out in zip(
            members.customers.customer_id, members.gain, members.held_out, strict=True
        )
        if not held_out
    ][:10]
    return MadePlan(plan, run, proposal.forecast, tuple(first), warnings)


def _without_score(book: PlanBook, run: Run, ids: Sequence[str]) -> tuple[str, ...]:
    """Return a warning about the ids that the scores do not have."""
    unknown = [ids[position] for position in book.ids_without_score(run, ids)]
    if not unknown:
        return ()
    first = ", ".join(f"'{quote(id_)}'" for id_ in unknown[:FIRST_UNKNOWN])
    more = "" if len(unknown) <= FIRST_UNKNOWN else ", ..."
    have = "has no score and is" if len(unknown) == 1 else "have no score and are"
    named = counted(len(ids), "customer")
    return (f"{len(unknown):,} of {named} of --ids {have} left out: {first}{more}",)


def instant_of(time: datetime, model_path: str, as_of: datetime, option: str) -> datetime:
    """Return the instant of a time of the command line, in UTC.

    A time without a zone is what the shop's clock shows; the model says in which zone that is.

    Parameters
    ----------
    time
        As :func:`stagecast.features.clock.parse_shop_time` returns it.
    model_path, as_of
        Folder of the bundle of the scores, and where they stand.
    option
        The option, for the error message.

    Raises
    ------
    UsageError
        The bundle cannot be read, and the scores are not of a midnight of UTC.
    """
    if time.tzinfo is not SHOP:
        return time
    from stagecast.training.bundle import load_bundle  # slow to import

    try:
        return load_bundle(Path(model_path)).clock.instant(time)
    except StagecastError:
        if as_of.time() == datetime.min.time():
            return to_utc(time)  # days are those of UTC
        raise UsageError(
            f"{option} {iso(time)} names no zone, and the model '{model_path}', which says what a "
            f"day of the shop is, cannot be read; write it like {time:%Y-%m-%dT%H:%M}+03:00"
        ) from None


def export_plan(name: str, out: Path, *, arm: str, preset: str, store: str | None) -> Written:
    """Write the list of a frozen plan as a file.

    Raises
    ------
    UsageError
        There is no such plan, it is a draft, or the file cannot be written.
    """
    with open_store(store) as opened:
        return write_list(
            opened.engine, name, out, arm=None if arm == "both" else arm, preset=preset
        )


def confirm(
    name: str, at: datetime | None, file: Path | None, *, store: str | None
) -> tuple[Plan, ShopClock]:
    """Note that the customers of a plan were contacted, and return it with its clock.

    Raises
    ------
    UsageError, DataRefusedError
        There is no such frozen plan; the file cannot be read, or names others than its customers.
    """
    ids = None
    if file is not None:
        rows = read_upload(file, required=("customer_id",))
        ids = [str(row["customer_id"]) for row in rows]
        if not ids:
            raise DataRefusedError(f"'{file}' names nobody")
    with open_store(store) as opened:
        book = PlanBook(opened.engine)
        plan = book.plan(name)
        if at is not None and at.tzinfo is SHOP:
            with opened.engine.connect() as connection:
                model = connection.scalar(
                    sa.select(runs.c.model_path).where(runs.c.id == plan.run_id)
                )
            at = instant_of(at, model or "", plan.as_of, "--at")
        sent = confirm_sent(
            opened.engine,
            name,
            at or datetime.now(UTC),
            source="hand" if ids is None else "upload",
            ids=ids,
        )
        return sent, book.clocks([sent])[sent.run_id]
