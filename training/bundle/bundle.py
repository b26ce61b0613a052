"""The bundle in memory: models, their version, and what is known about their training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stagecast.features.clock import iso
from stagecast.features.plain_json import to_json
from stagecast.features.shop.clock import ShopClock, clock_named
from stagecast.training.bundle.files import version_of
from stagecast.training.bundle.stored_models import model_files
from stagecast.training.card import Card
from stagecast.training.learners.btyd.stored import Covariances
from stagecast.training.models import Models
from stagecast.training.value.currency import NOT_STATED, LogMoney


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle.

    Parameters
    ----------
    models
        The fitted models.
    model_version
        Twelve hex digits, the hash of the files that predictions depend on.
    as_of
        Instant of the training, UTC.
    data_cutoff
        Time of the last event that the training used.
    card
        Evaluation, dates and notes for people to read: a
        :class:`stagecast.training.card.Card` as plain JSON, as an earlier version may have written
        it.
    money
        Currency and presence of the amounts that the training used.
    golden
        What it predicted for the golden customers where it was written
        (:mod:`stagecast.training.golden`); None: an earlier version wrote it.
    log_covariances
        Of the parameters of the customer-base models, on which no prediction depends
        (:mod:`stagecast.training.fitted.btyd`); None: an earlier version wrote it.
    """

    models: Models
    model_version: str
    as_of: datetime
    data_cutoff: datetime
    card: Mapping[str, Any]
    money: LogMoney = NOT_STATED
    golden: Mapping[str, Any] | None = None
    log_covariances: Covariances | None = None

    def __repr__(self) -> str:
        config = self.models.config
        return (
            f"Bundle({self.model_version}, as of {iso(self.clock.shop(self.as_of))}, horizon "
            f"{config.horizon_days}d, churn by {config.churn}, scheme {self.models.scheme.id})"
        )

    @property
    def clock(self) -> ShopClock:
        """Clock of the shop, whose days the models count."""
        return clock_named(self.models.config.zone)


def make_bundle(
    models: Models,
    as_of: datetime,
    data_cutoff: datetime,
    card: Card | Mapping[str, Any],
    money: LogMoney = NOT_STATED,
    log_covariances: Covariances | None = None,
) -> Bundle:
    """Return a bundle in memory, with the version that its files have.

    Parameters
    ----------
    card
        What people read; as plain JSON where it is that of a loaded bundle.
    money
        Currency and presence of the amounts that the training used.
    log_covariances
        Of the parameters of the customer-base models; None: not known.
    """
    as_of = clock_named(models.config.zone).instant(as_of)
    card = to_json(card) if isinstance(card, Card) else card
    return Bundle(
        models,
        version_of(model_files(models)),
        as_of,
        data_cutoff,
        card,
        money,
        log_covariances=log_covariances,
    )
