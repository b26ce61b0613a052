"""The registry on a real SQLite store: champion, rollback, what is refused, and killed retrainings.

Each step runs in a forked process, so that a kill hits a process which holds the store open, and
MLflow is imported once.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.training.promotion.records import Look, carried_out, records_of
from stagecast.training.promotion.registry import Registry
from stagecast.training.tracking import log_training
from tests.profiles import examples
from tests.training.made import Trained

T = TypeVar("T")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes"),
]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.chdir(tmp_path)


def started(work: Callable[[], object], out: int | None = None) -> int:
    """Start work in a forked process, which writes its pickled result to a pipe; return its id."""
    import mlflow.artifacts  # noqa: F401  imported once, for all that are forked

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks where threads run
        process = os.fork()
    if process:
        return process
    code = 1
    try:
        result: object = work()
        code = 0
    except BaseException as error:
        result = error
    try:
        if out is not None:
            with os.fdopen(out, "wb") as pipe:
                pickle.dump(result, pipe)
    finally:
        os._exit(code)


def done(work: Callable[[], T]) -> T:
    """Return what work returns, or raise what it raises, in a process of its own."""
    read, write = os.pipe()
    process = started(work, write)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        result = pickle.load(pipe)
    os.waitpid(process, 0)
    if isinstance(result, BaseException):
        raise result
    answer: T = result
    return answer


def retrain(uri: str, shop: Trained, why: str) -> str:
    """Log and register a training, and make it the champion."""
    run_id = log_training(uri, shop.bundle, shop.folder, register="shop")
    registry = Registry("shop", uri)
    version = registry.version_of(run_id)
    registry.note(Look(registry.champion() or "0", version, "2024-01-01", "2024-01-01", True, why))
    registry.promote(version, why, {"better": {"relative": -0.02}})
    return version


def test_promotion_rollback_and_what_is_refused(
    shop: Trained, tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    uri = new_store(tmp_path)

    def work() -> None:
        retrain(uri, shop, "the first")
        second = log_training(uri, shop.bundle, shop.folder, register="shop")
        registry = Registry("shop", uri)
        assert registry.version_of(second) == registry.challenger() == "2"
        with pytest.raises(UsageError, match="had no champion before the present one"):
            registry.rollback("too early")
        with pytest.raises(UsageError, match="is the champion of shop already"):
            registry.promote("1", "again")
        with pytest.raises(UsageError, match="version 1 by now, and no longer 7"):
            registry.promote("2", "another was quicker", instead_of="7", check=True)
        registry.promote("2", "better", {"better": {"relative": -0.02}})
        assert registry.champion() == "2"
        last = registry.history()[-1]
        assert (last.kind, last.from_, last.to, last.why) == ("promote", "1", "2", "better")
        assert last.numbers == {"better": {"relative": -0.02}}
        assert last.who
        assert registry.challenger() is None  # it challenges nobody any more
        registry.rollback("customers complained")
        assert (registry.champion(), registry.challenger()) == ("1", None)
        assert registry.bundle("1").model_version == shop.bundle.model_version
        listed = {version.number: version.aliases for version in registry.versions()}
        assert listed == {"2": (), "1": ("champion",)}
        with pytest.raises(UsageError, match="nobody"):
            Registry("nobody", uri).versions()
        # a bundle that cannot be read becomes no champion
        source = registry._client.get_model_version("shop", "2").source
        manifest = Path(source.removeprefix("file://")) / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"format": 8', '"format": 5'))
        with pytest.raises(DataRefusedError, match="format"):
            registry.promote("2", "damaged")
        assert registry.champion() == "1"

    done(work)


def test_a_version_is_a_number_or_its_text_and_a_reason_says_something(
    shop: Trained, tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    uri = new_store(tmp_path)

    def work() -> None:
        for _ in range(2):
            log_training(uri, shop.bundle, shop.folder, register="shop")
        registry = Registry("shop", uri)
        registry.promote(1, "the first")
        with pytest.raises(UsageError, match="version 1 is the champion of shop already"):
            registry.promote(1, "again")
        registry.promote(np.int64(2), "the second", instead_of=1, check=True)
        assert [(move.from_, move.to) for move in registry.history()] == [(None, "1"), ("1", "2")]
        assert registry.rollback("the first again").to == registry.champion() == "1"
        assert registry.bundle(2).as_of == shop.bundle.as_of
        registry.note(Look("1", "2", "2024-01-01", "2024-01-01", False, "no"))
        assert registry.looks(1) == registry.looks("1") == registry.looks() != []
        for wrong in (None, 0, 1.5, True, "", "two", "-1", " 2"):
            unusable = r"version = .* cannot be used; give the number"
            with pytest.raises(UsageError, match=unusable):
                registry.bundle(wrong)
            with pytest.raises(UsageError, match=unusable):
                registry.promote(wrong, "why")
        with pytest.raises(UsageError, match="champion = 'x' cannot be used"):
            registry.looks("x")
        with pytest.raises(UsageError, match="instead_of = 'x' cannot be used"):
            registry.promote(2, "why", instead_of="x", check=True)
        for why in ("", " ", None, 3):
            with pytest.raises(UsageError, match=r"why = .* cannot be used; give the reason"):
                registry.promote(2, why)
            with pytest.raises(UsageError, match=r"why = .* cannot be used; give the reason"):
                registry.rollback(why)
        with pytest.raises(UsageError, match="folder = None cannot be used; give the path of a b"):
            registry.register(None)
        assert registry.champion() == "1"

    done(work)


def test_a_challenger_remains_where_another_version_becomes_champion(
    shop: Trained, tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    uri = new_store(tmp_path)

    def work() -> None:
        for _ in range(3):
            log_training(uri, shop.bundle, shop.folder, register="shop")
        registry = Registry("shop", uri)
        registry.promote("1", "the first")
        registry.promote("2", "the second")
        assert (registry.champion(), registry.challenger()) == ("2", "3")
        registry.rollback("the first again")
        assert (registry.champion(), registry.challenger()) == ("1", "3")
        registry.promote("3", "the third")
        assert (registry.champion(), registry.challenger()) == ("3", None)
        # an alias that a killed promotion left, or that was moved by hand
        registry._client.set_registered_model_alias("shop", "challenger", "3")
        assert registry.challenger() is None
        assert {v.number: v.aliases for v in registry.versions()}["3"] == ("champion",)
        registry._client.set_registered_model_alias("shop", "challenger", "1")
        registry.rollback("the first once more")
        assert registry._model().aliases == {"champion": 1}

    done(work)


def test_a_bundle_that_exists_is_registered_once(
    shop: Trained, tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    uri = new_store(tmp_path)

    def work() -> None:
        registry = Registry("shop", uri)
        assert registry.register(shop.folder) == "1"
        assert registry.register(str(shop.folder)) == "1"
        copy = Path(shutil.copytree(shop.folder, tmp_path / "copy"))
        assert registry.register(copy) == "1"  # the bundle counts, not its folder
        registry.promote("1", "the first")
        assert registry.register(copy) == "1"
        assert (registry.champion(), registry.challenger()) == ("1", None)
        assert registry.bundle("1").as_of == shop.bundle.as_of
        # one that a version of before registered, without a digest
        registry._client.delete_model_version_tag("shop", "1", "bundle_sha256")
        assert registry.register(copy) == "1"
        assert Registry("other", uri).register(copy) == "1"
        # what cannot be loaded is not registered
        with pytest.raises(UsageError, match="holds no bundle"):
            registry.register(tmp_path / "nothing")
        manifest = copy / "manifest.json"
        sound = manifest.read_text()
        manifest.write_text(sound.replace('"as_of": "2021', '"as_of": "2020'))
        with pytest.raises(DataRefusedError, match="is not as it was written"):
            registry.register(copy)
        # as on a machine that computes something else
        data = json.loads(sound)
        data["golden"]["p_inactive"][1] = 0.123
        del data["sha256"]
        manifest.write_text(json.dumps(data))
        with pytest.raises(DataRefusedError, match="golden customers"):
            registry.register(copy)
        assert [version.number for version in registry.versions()] == ["1"]

    done(work)


def test_a_retraining_killed_at_any_moment_leaves_a_champion_and_its_record(
    shop: Trained, tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    uri, chance = new_store(tmp_path), random.Random(5)
    begun = time.monotonic()
    done(lambda: retrain(uri, shop, "the first"))
    longest = time.monotonic() - begun  # kills come within it: few hit what has ended already

    def state() -> tuple[str | None, list[str], int]:
        registry = Registry("shop", uri)
        champion = registry.champion()
        assert champion is not None
        assert registry.bundle(champion).model_version == shop.bundle.model_version
        moves = registry.history()
        records = records_of(registry._model().tags)
        assert moves == carried_out(records, champion)
        assert moves[-1].to == champion  # who made it champion is known
        return champion, [move.to for move in moves], len(records)

    before, kills, hit = done(state), min(examples(8), 50), 0
    while hit < kills:
        process = started(lambda: retrain(uri, shop, "retrained"))
        time.sleep(chance.uniform(0.0, longest))
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        hit += os.WIFSIGNALED(status)
        after = done(state)
        assert after[1][: len(before[1])] == before[1]  # nothing of before is lost
        assert len(after[1]) - len(before[1]) in (0, 1)
        before = after
    version = done(lambda: retrain(uri, shop, "left alone"))
    assert done(state)[0] == version


def test_two_trainings_at_once_in_a_fresh_folder_both_end_well(
    shop: Trained, tmp_path: Path
) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    both = [
        started(lambda: log_training(uri, shop.bundle, shop.folder, register="shop"))
        for _ in range(2)
    ]
    assert [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in both] == [0, 0]
    versions = done(lambda: [(v.number, v.aliases) for v in Registry("shop", uri).versions()])
    assert [number for number, _ in versions] == ["2", "1"]
    assert sorted(alias for _, aliases in versions for alias in aliases) == ["challenger"]
