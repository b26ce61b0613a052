"""Whether LightGBM's text of an ensemble is sound, before LightGBM parses it.

LightGBM trusts its own text: it reads trees in threads where an error ends the process, and follows
children and columns wherever their numbers lead. A bundle may come from anywhere, so what is not as
LightGBM writes it is refused here.

Source of the format: LightGBM, ``src/boosting/gbdt_model_text.cpp`` and ``src/io/tree.cpp``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

OF_SPLITS = (
    *("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child"),
    *("internal_value", "internal_weight", "internal_count"),
)
OF_LEAVES = ("leaf_value", "leaf_weight", "leaf_count")
OF_A_TREE = ("num_leaves", "num_cat", *OF_SPLITS, *OF_LEAVES, "is_linear", "shrinkage")
OBJECTIVES = (
    *("binary", "multiclass", "multiclassova", "regression", "regression_l1", "quantile", "huber"),
    *("fair", "poisson", "gamma", "tweedie", "mape", "cross_entropy", "custom"),
)
END = "end of trees"
CATEGORICAL = 1
"""Bit of a decision type; no ensemble of ours has such splits."""


def check_trees(text: str, columns: Sequence[str]) -> None:
    """Check the text of an ensemble.

    Parameters
    ----------
    columns
        The columns that it was trained on, in order.

    Raises
    ------
    ValueError
        It is not what LightGBM writes of numeric splits on these columns.
    """
    if not text.isascii():
        raise ValueError("trees: the text is not ASCII")
    head, separator, rest = text.partition("\n\n")
    header = _fields(head.split("\n"), "header")
    if not separator or not head.startswith("tree\n") or header.get("version") != "v4":
        raise ValueError("trees: the text does not begin as LightGBM's does")
    if int(header["max_feature_idx"]) + 1 != len(columns):
        raise ValueError(f"trees: they are not of {len(columns)} columns")
    for name in ("feature_names", "feature_infos"):
        if len(header[name].split(" ")) != len(columns):
            raise ValueError(f"trees: {name} are not of {len(columns)} columns")
    sizes = [int(size) for size in header["tree_sizes"].split()]
    _check_header(header, len(sizes))
    at = 0
    for k, size in enumerate(sizes):
        if size <= 0:
            raise ValueError(f"trees: tree {k} has {size} bytes")
        _check_tree(rest[at : at + size], k, len(columns))
        at += size
    if not rest.startswith(END, at):
        raise ValueError(f"trees: they do not end after tree {len(sizes) - 1}")


def _check_header(header: Mapping[str, str], trees: int) -> None:
    classes, each = int(header["num_class"]), int(header["num_tree_per_iteration"])
    if classes < 1 or each not in (1, classes) or trees % each:
        raise ValueError(f"trees: {trees} of {each} for each of {classes} classes do not add up")
    words = header.get("objective", "custom").split()
    if not words or words[0] not in OBJECTIVES:
        raise ValueError(f"trees: unknown objective {words[:1]}")
    for word in words[1:]:
        name, _, value = word.partition(":")
        if name == "num_class":
            if value != str(classes):
                raise ValueError(f"trees: {word} where there are {classes} classes")
        elif value and not float(value) > 0:
            raise ValueError(f"trees: {word} must be positive")


def _check_tree(block: str, number: int, columns: int) -> None:
    lines = block.split("\n")
    if lines[0] != f"Tree={number}" or not block.endswith("\n\n"):
        raise ValueError(f"trees: tree {number} does not stand where tree_sizes says")
    where = f"tree {number}"
    fields = _fields([line for line in lines[1:] if line], where)
    if set(fields) != set(OF_A_TREE):
        raise ValueError(f"trees: {where} has other fields than {', '.join(OF_A_TREE)}")
    leaves = int(fields["num_leaves"])
    if leaves < 1 or int(fields["num_cat"]) or int(fields["is_linear"]):
        raise ValueError(f"trees: {where} has no leaves, or splits that are not numeric")
    _finite([fields["shrinkage"]], where)
    parts = {name: fields[name].split() for name in (*OF_SPLITS, *OF_LEAVES)}
    for name in OF_SPLITS:
        if len(parts[name]) != leaves - 1:
            raise ValueError(f"trees: {where} has {len(parts[name])} of {name}")
    for name in OF_LEAVES:
        # of a tree that is one leaf LightGBM may say no more than its value
        is_left_out = leaves == 1 and name != "leaf_value" and not parts[name]
        if len(parts[name]) != leaves and not is_left_out:
            raise ValueError(f"trees: {where} has {len(parts[name])} of {name}")
    # a split between what is known and what is not has an infinite threshold
    if any(math.isnan(float(value)) for value in parts["threshold"]):
        raise ValueError(f"trees: {where} has a threshold that is no number")
    for name in ("split_gain", "internal_value", "internal_weight", *OF_LEAVES):
        _finite(parts[name], where)
    if any(not 0 <= int(feature) < columns for feature in parts["split_feature"]):
        raise ValueError(f"trees: {where} splits on a column that there is not")
    if any(not 0 <= int(kind) < 16 or int(kind) & CATEGORICAL for kind in parts["decision_type"]):
        raise ValueError(f"trees: {where} has splits that are not numeric")
    _ = [int(count) for count in (*parts["internal_count"], *parts["leaf_count"])]
    _check_children(parts["left_child"], parts["right_child"], leaves, where)


def _check_children(left: Sequence[str], right: Sequence[str], leaves: int, where: str) -> None:
    """Refuse what is no binary tree: LightGBM would walk in circles, or out of its memory.

    A split stands behind its parent; each but the first, and each leaf, is the child of one.
    """
    children = [(k, int(child)) for side in (left, right) for k, child in enumerate(side)]
    expected = [*range(-leaves, 0), *range(1, leaves - 1)] if leaves > 1 else []
    is_tree = sorted(child for _, child in children) == expected
    if not is_tree or any(0 <= child <= parent for parent, child in children):
        raise ValueError(f"trees: the splits of {where} form no tree")


def _fields(lines: Sequence[str], where: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if equals and name in fields:
            raise ValueError(f"trees: {where} says {name} twice")
        if equals:
            fields[name] = value
        elif line != "tree" or where != "header":
            raise ValueError(f"trees: {where} has the line {line[:40]!r}")
    return fields


def _finite(values: Sequence[str], where: str) -> None:
    if not all(math.isfinite(float(value)) for value in values):
        raise ValueError(f"trees: {where} has a value that is not finite")
