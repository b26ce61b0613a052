"""What is installed is one name, ``stagecast``: nothing of the checkout's folders gets on
anybody's path.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import stagecast

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
HOSTILE = "raise RuntimeError('a file of the user was imported in the place of a package')\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built with the locked back-end (no network)."""
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


def test_the_wheel_holds_stagecast_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"stagecast"}
    for inside in (
        "__init__.py",
        "py.typed",
        "features/schemes/retail.toml",
        "serving/pages/templates/base.html",
    ):
        assert f"stagecast/{inside}" in names
    sources = {
        path.relative_to(ROOT).as_posix()
        for top in ("features", "training", "serving")
        for path in (ROOT / top).rglob("*.py")
    }
    assert {f"stagecast/{source}" for source in sources} <= set(names)


def test_an_installed_wheel_works_beside_a_hostile_features_py(wheel: Path, tmp_path: Path) -> None:
    """The dependencies come from this environment by a path file; stagecast itself comes from
    the wheel alone.
    """
    empty, work = tmp_path / "empty", tmp_path / "work"
    venv.create(empty, with_pip=False)
    python = empty / ("Scripts" if os.name == "nt" else "bin") / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(
        subprocess.run(
            [python, "-c", where], capture_output=True, text=True, check=True
        ).stdout.strip()
    )
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # appended as a plain path, so that the .pth file of the editable checkout in it is not read
    ours = sysconfig.get_path("purelib")
    (site / "dependencies.pth").write_text(f"{ours}\n", encoding="utf-8")
    work.mkdir()
    for name in ("features", "training", "serving"):
        (work / f"{name}.py").write_text(HOSTILE, encoding="utf-8")
    program = """
import pathlib, stagecast
from stagecast.features.stages.scheme_files import known_schemes, load_scheme
import stagecast.serving.http.app
here = pathlib.Path(stagecast.__file__).parent
print(here, len(known_schemes()), stagecast.TrainConfig().horizon_days)
"""
    (work / "own.py").write_text(program, encoding="utf-8")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    done = subprocess.run(
        [python, "own.py"], cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(site / "stagecast"), "7", "90"]


def test_an_editable_install_puts_no_folder_of_the_checkout_on_the_path(tmp_path: Path) -> None:
    program = """
import importlib.util
names = ("features", "training", "serving", "bench")
print([name for name in names if importlib.util.find_spec(name)])
"""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", stagecast.__all__)
def test_each_public_name_is_there(name: str) -> None:
    assert getattr(stagecast, name) is not None


def test_an_unknown_public_name_is_refused_by_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Churnclassifier'"):
        stagecast.Churnclassifier  # noqa: B018
