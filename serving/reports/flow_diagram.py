"""Flow diagram: how many customers went from each stage at one date to each stage at another.

Vega-Lite has no such chart, so the bands are computed here and written as SVG paths. As in
:mod:`stagecast.serving.reports.charts`, the style sheet of the page replaces the colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from stagecast.serving.languages.display import ENGLISH, Display
from stagecast.serving.languages.texts import texts_of
from stagecast.serving.reports.charts import FONT, INK, WIDE_WIDTH
from stagecast.serving.reports.stage_colours import STAGE_INK, stage_colours, stage_titles

NODE_WIDTH, LEFT, TOP, BODY = 14, 232, 44, 340
RIGHT = WIDE_WIDTH - LEFT - NODE_WIDTH
LINE, GAP, LONGEST = 19, 10, 28

Key = str | None


@dataclass(frozen=True)
class _Node:
    """A stage at one of the dates: its customers, and the top and height of its bar in pixels."""

    key: Key
    customers: int
    top: float
    height: float


def flow_diagram(
    rows: Sequence[Mapping[str, Any]],
    stages: Sequence[Mapping[str, Any]],
    titles: tuple[str, str],
    display: Display = ENGLISH,
) -> Markup:
    """Return bands from the stages at one date to those at another, as wide as customers moved.

    Parameters
    ----------
    rows
        ``from_stage`` and ``to_stage`` (ids) and ``customers``. A ``from_stage`` of None is of
        customers who were not known yet.
    stages
        ``id``, ``title`` and ``state`` of each, in the order of the scheme.
    titles
        Heads of the two columns, usually the dates.
    display
        Language and digits.
    """
    t = texts_of(display.language)["charts"]
    moved = _moved(rows, [stage["id"] for stage in stages])
    order: list[Key] = [None, *(stage["id"] for stage in stages)]
    total = sum(moved.values())
    shown: dict[Key, str] = {None: t["unknown"]}
    shown.update(stage_titles(stages))
    colours: dict[Key, str] = {None: STAGE_INK["stage-unknown"]}
    colours.update(stage_colours(stages))
    scale = BODY / total if total else 0.0
    sides = [
        _column(
            [(key, sum(n for pair, n in moved.items() if pair[side] == key)) for key in order],
            scale,
        )
        for side in (0, 1)
    ]
    height = max((node.top + node.height for side in sides for node in side), default=TOP) + LINE
    columns = [_centred(side, height - LINE) for side in sides]
    parts = [_bands(moved, columns, scale, shown, colours, display)]
    before = {node.key: node.customers for node in columns[0]}
    for side, column in enumerate(columns):
        parts.append(_heading(titles[side], side))
        for node in column:
            change = None if side == 0 else node.customers - before.get(node.key, 0)
            words = _counted(node.customers, change, display)
            parts.append(_labelled(node, side, shown[node.key], colours[node.key], words))
    if not total:
        parts.append(_text(WIDE_WIDTH / 2, TOP, t["nobody_known"], "middle", INK["quiet"]))
    semicolon = str(texts_of(display.language)["changes"]["and"])
    moves = semicolon.join(
        t["moved"].format(start=shown[source], end=shown[target], customers=display.number(n))
        for (source, target), n in moved.items()
        if source != target
    )
    label = t["said_flow"].format(start=titles[0], end=titles[1], values=moves)
    return Markup(
        '<svg role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg" '
        'width="{width}" height="{height:.0f}"'
        ' viewBox="0 0 {width} {height:.0f}" font-family="{font}">{parts}</svg>'
    ).format(label=label, width=WIDE_WIDTH, height=height, font=FONT, parts=Markup("").join(parts))


def _moved(rows: Sequence[Mapping[str, Any]], ids: Sequence[str]) -> dict[tuple[Key, Key], int]:
    """Return the customers of each pair of stages, in the order of the stages."""
    position: dict[Key, int] = {None: -1, **{name: n for n, name in enumerate(ids)}}
    moved: dict[tuple[Key, Key], int] = {}
    for row in rows:
        if row["customers"]:
            pair = (row["from_stage"], row["to_stage"])
            moved[pair] = moved.get(pair, 0) + int(row["customers"])
    return dict(sorted(moved.items(), key=lambda item: [position[key] for key in item[0]]))


def _column(counts: Sequence[tuple[Key, int]], scale: float) -> list[_Node]:
    """Return the stages of one date from top to bottom, at least a line of text apart."""
    nodes: list[_Node] = []
    top = float(TOP)
    for key, customers in counts:
        if customers:
            height = max(customers * scale, 2.0)
            # a thin bar is centred in its line
            space = max(0.0, (LINE - height - GAP) / 2)
            nodes.append(_Node(key, customers, top + space, height))
            top += max(height + GAP, LINE)
    return nodes


def _centred(column: list[_Node], bottom: float) -> list[_Node]:
    if not column:
        return column
    shift = (bottom - column[-1].top - column[-1].height) / 2
    return [_Node(node.key, node.customers, node.top + shift, node.height) for node in column]


def _bands(
    moved: Mapping[tuple[Key, Key], int],
    columns: Sequence[Sequence[_Node]],
    scale: float,
    shown: Mapping[Key, str],
    colours: Mapping[Key, str],
    display: Display,
) -> Markup:
    """Return the bands; at each end they are in the order of the other end, so that few cross."""
    start, end = ({node.key: node.top for node in column} for column in columns)
    left, right = LEFT + NODE_WIDTH, RIGHT
    middle = (left + right) / 2
    drawn = []
    for (source, target), customers in moved.items():
        wide = customers * scale
        a, b = start[source], end[target]
        start[source], end[target] = a + wide, b + wide
        # customers who moved matter more than those who stayed
        opacity = 0.22 if source == target else 0.5
        caption = f"{shown[source]} → {shown[target]}: {display.number(customers)}"
        drawn.append(
            Markup(
                '<path fill="{colour}" fill-opacity="{opacity}" '
                'd="M{left},{a:.1f}C{middle},{a:.1f} {middle},{b:.1f}'
                " {right},{b:.1f}V{b_end:.1f}C{middle},{b_end:.1f} {middle},{a_end:.1f} "
                "{left},{a_end:.1f}Z"
                '"><title>{caption}</title></path>'
            ).format(
                colour=colours[source],
                opacity=opacity,
                left=left,
                right=right,
                middle=middle,
                a=a,
                b=b,
                # a band too thin to be seen is drawn wider
                a_end=a + max(wide, 0.6),
                b_end=b + max(wide, 0.6),
                caption=caption,
            )
        )
    return Markup("").join(drawn)


def _counted(customers: int, change: int | None, display: Display) -> str:
    """Return a number of customers and, if there is one, by how many it changed."""
    count = display.number(customers)
    return f"{count} ({display.change(change, 'number')})" if change else count


def _labelled(node: _Node, side: int, title: str, colour: str, count: str) -> Markup:
    x = (LEFT, RIGHT)[side]
    anchor, at = (("end", x - 10), ("start", x + NODE_WIDTH + 10))[side]
    short = title if len(title) <= LONGEST else title[: LONGEST - 1] + "…"
    first = Markup('<tspan fill="{}">{}</tspan>').format(INK["ink"], short)
    second = Markup('<tspan fill="{}"> {}</tspan>').format(INK["quiet"], count)
    return Markup(
        '<rect x="{x}" y="{y:.1f}" width="{width}" height="{height:.1f}" rx="2" fill="{colour}"/>'
        '<text x="{at}" y="{base:.1f}" font-size="13" text-anchor="{anchor}">{first}{second}</text>'
    ).format(
        x=x,
        y=node.top,
        width=NODE_WIDTH,
        height=node.height,
        colour=colour,
        at=at,
        base=node.top + node.height / 2 + 4.5,
        anchor=anchor,
        first=first,
        second=second,
    )


def _heading(title: str, side: int) -> Markup:
    at, anchor = ((LEFT + NODE_WIDTH, "end"), (RIGHT, "start"))[side]
    return _text(at, 20, title, anchor, INK["ink"], bold=True)


def _text(x: float, y: float, words: str, anchor: str, colour: str, bold: bool = False) -> Markup:
    return Markup(
        '<text x="{}" y="{}" font-size="13" font-weight="{}" text-anchor="{}" fill="{}">{}</text>'
    ).format(x, y, 600 if bold else 400, anchor, colour, escape(words))
