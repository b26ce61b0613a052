"""Every public function takes every form of its arguments, and refuses the rest by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

import stagecast as sc
from stagecast.features.errors import StagecastError
from tests.serving.python.arguments import World, is_left_out, public, value_in
from tests.serving.python.called import CALLED
from tests.training.conftest import shop  # noqa: F401
from tests.training.made import Trained

WRONG = [(name, argument) for name, called in CALLED.items() for argument in called.kinds]


@pytest.fixture(scope="module")
def world(
    shop: Trained,  # noqa: F811
    log: sc.EventLog,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    model = sc.Lifecycle.of_bundle(shop.bundle)
    model.training_ = shop.training
    world = World(log, model, shop.folder, tmp_path_factory.mktemp("world"))
    yield world
    world.tiny.close()


@pytest.mark.parametrize(("name", "argument"), WRONG)
def test_a_wrong_value_is_refused_by_name(
    world: World, name: str, argument: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    called = CALLED[name]
    for value in called.kinds[argument].wrong:
        with pytest.raises(StagecastError) as raised:
            called.call(world, **{argument: value})
        message = str(raised.value)
        assert re.search(rf"\b{argument}\b", message), f"{value!r}: {message}"
        assert value_in(message, value), f"{value!r}: {message}"
        assert not re.search(r"--[a-z]|`stagecast", message), message


@pytest.mark.parametrize("name", [name for name, called in CALLED.items()])
def test_all_forms_of_a_value_mean_the_same(world: World, name: str) -> None:
    called = CALLED[name]
    right = called.right(world)
    for argument, kind in called.kinds.items():
        if argument not in right or right[argument] is None:
            continue
        first, *others = kind.forms(right[argument])
        expected = plain(called.call(world, **{argument: first}))
        for value in others:
            found = plain(called.call(world, **{argument: value}))
            assert found == expected, f"{argument} = {value!r}"


def plain(result: Any) -> Any:
    """Return a result as something that can be compared."""
    if isinstance(result, pd.DataFrame | pd.Series):
        return result.to_csv()
    return result


def test_every_public_argument_is_tried() -> None:
    tried = {(name, argument) for name, called in CALLED.items() for argument in called.kinds}
    left = [
        f"{name}({argument})"
        for name, arguments in public()
        for argument in arguments
        if (name, argument) not in tried and not is_left_out(name, argument)
    ]
    assert left == []
    assert {name for name, _ in tried} <= {name for name, _ in public()}
