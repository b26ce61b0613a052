"""Protocols of the scorer and the stage scheme, as far as the store and the server use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from stagecast.features.requests import CustomerEvents


class StageLike(Protocol):
    """One stage of a scheme; its texts are by language (``en``, ``ru``, ``fa``)."""

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


class PlayLike(Protocol):
    """One play of a scheme."""

    def to_json(self) -> dict[str, Any]: ...


class SchemeLike(Protocol):
    """A stage scheme: its id, its stages in order, and its plays."""

    @property
    def id(self) -> str: ...
    @property
    def stages(self) -> Sequence[StageLike]: ...
    @property
    def plays(self) -> Sequence[PlayLike]: ...


class ScorerLike(Protocol):
    """A loaded bundle that scores events; several threads may call it at once."""

    @property
    def model_version(self) -> str: ...
    @property
    def horizon_days(self) -> int: ...
    @property
    def scheme(self) -> SchemeLike: ...
    @property
    def card(self) -> Mapping[str, Any]: ...

    def score_customers(self, customers: Sequence[CustomerEvents], as_of: datetime) -> pa.Table:
        """Return the scores, one row per customer in the same order.

        The columns are those of :mod:`stagecast.serving.scoring.score_schema`.

        Raises
        ------
        stagecast.features.errors.StagecastError
            A customer has no event before the as_of.
        """
        ...

    def score_objects(
        self, customers: Sequence[CustomerEvents], as_of: datetime, *, with_reasons: bool = True
    ) -> list[dict[str, Any]]:
        """Return the scores as JSON objects of the API; raises as :meth:`score_customers`."""
        ...


class ScorerLoader(Protocol):
    """Function that reads a bundle folder.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The bundle is missing or damaged.
    """

    def __call__(self, path: Path, /) -> ScorerLike: ...
