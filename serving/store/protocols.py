"""What the HTTP side needs of the scorer and of a stage scheme, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from stagecast.features.requests import CustomerEvents


class StageLike(Protocol):
    """One stage of a scheme; its texts by language (``en``, ``ru``, ``fa``)."""

    @property
    def id(self) -> str: ...
    @property
    def title(self) -> Mapping[str, str]: ...
    @property
    def meaning(self) -> Mapping[str, str]: ...
    @property
    def action(self) -> Mapping[str, str]: ...
    @property
    def state(self) -> str: ...


class SchemeLike(Protocol):
    """A stage scheme: its name and its stages, in order."""

    @property
    def id(self) -> str: ...
    @property
    def stages(self) -> Sequence[StageLike]: ...


class ScorerLike(Protocol):
    """A loaded bundle that turns events into scores; called from several threads at once."""

    @property
    def model_version(self) -> str: ...
    @property
    def horizon_days(self) -> int: ...
    @property
    def scheme(self) -> SchemeLike: ...
    @property
    def card(self) -> Mapping[str, Any]: ...

    def score_customers(self, customers: Sequence[CustomerEvents], as_of: datetime) -> pa.Table:
        """Return one row per customer, in the same order, with the columns of
        :mod:`stagecast.serving.scoring.score_schema`.
        """
        ...


class ScorerLoader(Protocol):
    """Reads a bundle folder; raises :class:`stagecast.features.errors.StagecastError` when it
    cannot be trusted.
    """

    def __call__(self, path: Path, /) -> ScorerLike: ...
