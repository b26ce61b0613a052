"""How the tests run: what begins first is there, what is shared is made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.conftest import BROWSER, GROUPS, LONGEST, group_of
from tests.profiles import FEWEST, TIMES, examples
from tests.shared import once

ROOT = Path(__file__).parents[1]


def test_every_file_that_begins_first_or_has_a_group_is_there() -> None:
    files = {*LONGEST, *GROUPS} - set(GROUPS.values()) - {BROWSER}
    assert [file for file in sorted(files) if not (ROOT / file).is_file()] == []
    assert (ROOT / BROWSER).is_dir()


def test_a_file_is_a_group_of_its_own_unless_it_shares_one() -> None:
    assert group_of("tests/test_docs.py::test_links_lead_somewhere[a::b]") == "tests/test_docs.py"
    assert len({group_of(f"{file}::test") for file in GROUPS}) == len(set(GROUPS.values()))
    pages = (ROOT / BROWSER).glob("test_*.py")
    assert {group_of(f"{BROWSER}{file.name}::test[a]") for file in pages} == {BROWSER}


def test_make_test_tries_fewer_examples_than_usual_and_make_prove_more() -> None:
    assert TIMES["ci"] < 1 < TIMES["nightly"]
    for name, times in TIMES.items():
        profile = settings.get_profile(name)
        assert profile.max_examples == 100 * times
        assert profile.deadline is None
    assert examples(1) >= 1
    assert examples(200) == round(2 * settings().max_examples)
    assert examples(FEWEST) >= FEWEST


def test_what_is_shared_is_made_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    calls: list[Path] = []

    def make(folder: Path) -> str:
        (folder / "file").write_text("whole")
        calls.append(folder)
        if len(calls) == 1:
            raise OSError("the first try fails")
        return folder.name

    name = f"once-{tmp_path_factory.mktemp('unique').parent.name}"
    with pytest.raises(OSError, match="the first try fails"):
        once(tmp_path_factory, name, make)
    assert [once(tmp_path_factory, name, make) for _ in range(2)] == [name] * 2
    assert len(calls) == 2
