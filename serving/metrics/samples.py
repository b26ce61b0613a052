"""Samples of metrics, and their text in the exposition format of Prometheus.

Source: "Exposition formats", text-based format, of the documentation of Prometheus.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

Kind = Literal["counter", "gauge", "histogram"]
_LINE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(?P<name>\w+)="(?P<value>(?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """A value with its labels; ``suffix`` is that of a histogram's sample, such as ``_bucket``."""

    labels: dict[str, str]
    value: float
    suffix: str = ""


class Family(msgspec.Struct, frozen=True, array_like=True):
    """All samples of one metric.

    Parameters
    ----------
    name
        Name with its unit, such as ``stagecast_request_seconds``.
    kind
        Kind of the metric.
    help
        What it says, a sentence.
    samples
        Its samples; a metric without any is left out of the text.
    """

    name: str
    kind: Kind
    help: str
    samples: list[Sample]


def gauge(name: str, help_text: str, value: float | None, **labels: str) -> Family:
    """Return a gauge of one value; None where it is not known."""
    return Family(name, "gauge", help_text, [] if value is None else [Sample(labels, value)])


def text_of(families: Iterable[Family]) -> str:
    r"""Return the text of metrics.

    >>> print(text_of([gauge("shop_up", "Whether it is.", 1, shop='the "old" one')]), end="")
    # HELP shop_up Whether it is.
    # TYPE shop_up gauge
    shop_up{shop="the \"old\" one"} 1.0
    """
    return "".join(_text(family) for family in families if family.samples)


def samples_of(text: str) -> list[tuple[str, dict[str, str], float]]:
    r"""Return name, labels and value of each sample of a text that :func:`text_of` made.

    Raises
    ------
    ValueError
        A line is no sample and no comment.

    >>> samples_of(text_of([gauge("shop_up", "Whether it is.", 1, shop='the "old" one')]))
    [('shop_up', {'shop': 'the "old" one'}, 1.0)]
    """
    samples = []
    for line in text.split("\n"):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"{line[:100]!r} is no sample of a metric")
        labels = {
            label["name"]: _ESCAPE.sub(lambda m: "\n" if m[1] == "n" else m[1], label["value"])
            for label in _LABEL.finditer(match["labels"] or "")
        }
        samples.append((match["name"], labels, float(match["value"])))
    return samples


def merged(parts: Sequence[tuple[dict[str, str], Sequence[Family]]]) -> list[Family]:
    """Return the metrics of several sources as one list, each sample with the labels of its source.

    Parameters
    ----------
    parts
        Labels of a source, and its metrics.
    """
    by_name: dict[str, Family] = {}
    for labels, families in parts:
        for family in families:
            whole = by_name.setdefault(
                family.name, Family(family.name, family.kind, family.help, [])
            )
            whole.samples.extend(
                Sample({**sample.labels, **labels}, sample.value, sample.suffix)
                for sample in family.samples
            )
    return list(by_name.values())


def _text(family: Family) -> str:
    lines = [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
    for sample in family.samples:
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels.items())
        braces = f"{{{labels}}}" if labels else ""
        lines.append(f"{family.name}{sample.suffix}{braces} {float(sample.value)!r}")
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
