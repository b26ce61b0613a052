"""The model version is the same whatever the number of cores and of threads of BLAS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PROGRAM = """
import os, sys
from pathlib import Path
if sys.argv[2] == "one":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from stagecast.training.config import TrainConfig
from tests.training.made import day, simulated_rows, trained
rows, config = simulated_rows(400, 500, seed=3), TrainConfig(max_dates=1)
done = trained(rows, Path(sys.argv[1]), day(500), config, evaluated=False)
print(done.reloaded().model_version)
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
def test_threads_and_cores_do_not_change_the_model_version(tmp_path: Path) -> None:
    versions = {}
    for cores, threads in (("one", "1"), ("all", "4")):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / cores), cores],
            cwd=ROOT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        versions[cores] = done.stdout.split()[-1]
    assert versions["one"] == versions["all"]
