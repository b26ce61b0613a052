"""How a new model comes to answer: all customers at once, or a share of them first."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stagecast.serving.follow.canary import Canary, Trial, wait_for_verdict
from stagecast.serving.follow.follower import Follower
from stagecast.serving.follow.limits import Limits
from stagecast.serving.follow.sources import Source, source_of
from stagecast.serving.http.state import State
from stagecast.serving.scoring.first_load import FirstLoad
from stagecast.serving.scoring.rehearsal import load_rehearsed
from stagecast.serving.settings import Settings

FOLLOW_SECONDS = 30.0
_numbers = itertools.count(1)


def limits_of(settings: Settings) -> Limits:
    """Return the limits of a canary, as the settings have them."""
    return Limits(
        customers=settings.canary_customers,
        minutes=settings.canary_minutes,
        psi=settings.canary_psi,
        difference=settings.canary_difference,
        agreement=settings.canary_agreement,
        money=settings.canary_money,
        ranks=settings.canary_ranks,
        slower=settings.canary_slower,
        errors=settings.canary_errors,
    )


def new_trial(share: float, model: Path, old_model: Path, scratch: Path) -> Trial:
    """Return a canary that begins now.

    Parameters
    ----------
    share
        Share of the customers.
    model, old_model
        Folders of the bundles.
    scratch
        Folder in which one for the reports is made.
    """
    reports = reports_in(scratch)
    return Trial(model, old_model, reports, share, secrets.token_hex(16), datetime.now(UTC))


def reports_in(scratch: Path) -> Path:
    """Return a new folder for the reports of a comparison."""
    reports = scratch / f"reports-{next(_numbers)}"
    reports.mkdir()
    return reports


class Rollout:
    """Puts models into the state of the one process that answers.

    Parameters
    ----------
    state
        The state of the server.
    folder
        Folder of the bundle that answers; None: there is none.
    scratch
        Folder for the reports of comparisons.
    """

    def __init__(self, state: State, folder: Path | None, scratch: Path) -> None:
        self._state, self._folder, self._scratch = state, folder, scratch

    def put(self, folder: Path, goes_on: Callable[[], bool]) -> None:
        """Check the bundle of a folder, and have it answer.

        Parameters
        ----------
        folder
            The folder.
        goes_on
            Returns False when another bundle has taken its place, or the server stops.

        Raises
        ------
        stagecast.features.errors.StagecastError
            It is not what it should be, or was rolled back; the old one goes on.
        """
        state = self._state
        with FirstLoad(folder) as child:
            scorer = load_rehearsed(child)
        share, old = state.settings.canary_share, self._folder
        if share is not None and old is not None and state.scorer is not None:
            trial = new_trial(share, folder, old, self._scratch)
            limits = limits_of(state.settings)
            with answering(state, Canary(trial, scorer)):
                wait_for_verdict(trial, limits, goes_on=goes_on)
                state.scorer = scorer
        state.scorer, state.scorer_fault, self._folder = scorer, None, folder

    def put_shadow(self, folder: Path) -> None:
        """Check the bundle of a folder, and have it scored beside; raises as :meth:`put`."""
        shadow = self._state.shadow
        if shadow is not None:
            shadow.put_checked(folder, reports_in(self._scratch))


def canary_of(state: State) -> dict[str, Any] | None:
    """Return what stands of the canary, as plain data; None: there is none."""
    canary = state.canary
    return None if canary is None else canary.to_json(limits_of(state.settings))


@contextmanager
def answering(state: State, canary: Canary) -> Iterator[None]:
    """Have a canary answer its share within the context."""
    canary.start()
    state.canary = canary
    try:
        yield
    finally:
        state.canary = None
        canary.stop()


def follower_of(
    source: Source,
    mark: str | None,
    put: Callable[[Path, Callable[[], bool]], None],
    settings: Settings,
) -> Follower:
    """Return the follower of the model that answers.

    Parameters
    ----------
    source, mark
        Where the model comes from, and what is served of it.
    put
        See :meth:`Rollout.put`.
    settings
        How often it looks.
    """

    def put_wanted(folder: Path) -> None:
        put(folder, follower.wants)

    seconds = settings.follow_seconds or FOLLOW_SECONDS
    follower = Follower(source, mark, put_wanted, seconds)
    return follower


def shadow_follower_of(settings: Settings, put: Callable[[Path], None]) -> Follower | None:
    """Return the follower of the challenger; None where there is none.

    It looks for the first one too: a challenger neither delays nor hinders the start of a server.
    """
    if settings.shadow is None:
        return None
    source = source_of(settings.shadow, settings.tracking_uri, settings.tracking_seconds)
    seconds = settings.follow_seconds or FOLLOW_SECONDS
    return Follower(source, None, put, seconds, what="challenger", at_once=True)
