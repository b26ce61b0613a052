"""One colour per stage, the same in every chart, from the family of colours of its state.

Violet for prospects, blue to green for active customers, grey for lapsed ones. As in
:mod:`stagecast.serving.reports.charts` each colour has a name, and the style sheet of the page
replaces it on dark pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stagecast.serving.reports.charts import INK

# name of the css variable -> the colour it has in the drawing
STAGE_INK: Mapping[str, str] = {
    "stage-prospect-2": "#5f4b9b",
    "stage-prospect-3": "#c3b5e6",
    "stage-active-1": "#8cc4e8",
    "stage-active-3": "#174a7a",
    "stage-active-4": "#1f9e8f",
    "stage-active-5": "#93c36c",
    "stage-lapsed-2": "#65717e",
    "stage-lapsed-3": "#c5ccd4",
    "stage-unknown": "#d3d9e0",
}

_FAMILIES: Mapping[str, tuple[str, ...]] = {
    "prospect": (
        INK["chart-prospect"],
        STAGE_INK["stage-prospect-2"],
        STAGE_INK["stage-prospect-3"],
    ),
    "active": (
        STAGE_INK["stage-active-1"],
        INK["chart-active"],
        STAGE_INK["stage-active-3"],
        STAGE_INK["stage-active-4"],
        STAGE_INK["stage-active-5"],
    ),
    "lapsed": (INK["chart-lapsed"], STAGE_INK["stage-lapsed-2"], STAGE_INK["stage-lapsed-3"]),
}


def stage_colours(stages: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the colour of each stage by its ``id``; a state with many stages repeats its colours.

    Parameters
    ----------
    stages
        ``id`` and ``state`` of each, in the order of the scheme. A stage of an unknown state is
        drawn as active.

    >>> stage_colours([{"id": "new", "state": "active"}, {"id": "loyal", "state": "active"}])
    {'new': '#8cc4e8', 'loyal': '#2f7cb3'}
    """
    counts = dict.fromkeys(_FAMILIES, 0)
    colours: dict[str, str] = {}
    for stage in stages:
        state = stage["state"] if stage["state"] in _FAMILIES else "active"
        family = _FAMILIES[state]
        colours[stage["id"]] = family[counts[state] % len(family)]
        counts[state] += 1
    return colours


def stage_titles(stages: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the title of each stage by its ``id``; the id is added where titles are equal."""
    titles = [str(stage["title"]) for stage in stages]
    return {
        stage["id"]: title if titles.count(title) == 1 else f"{title} ({stage['id']})"
        for stage, title in zip(stages, titles, strict=True)
    }
