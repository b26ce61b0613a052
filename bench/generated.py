"""Requests made from the OpenAPI document against a real server: ``python -m bench.generated``.

    stagecast serve, with a model and a run
    schemathesis    -> examples, the edges of every parameter, random requests that fit the
                       document or break it, sequences of requests

No answer may be a 5xx, be one that the document does not declare, or repeat what was sent.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.served import serving
from tests.serving import published
from tests.waiting import free_port

OPERATIONS = 41
"""About how many operations the document has: random requests are asked for by operation."""
CUSTOMERS = 40
NOT_CHECKED = (
    # a cursor of another query, or a key of another write, fits the schema and is refused
    "positive_data_acceptance",
    # /v1/customers/lookup is also the customer of the id "lookup"
    "allow_header_conformance",
    # a body that is too long is refused as that (413) before anybody counts its items
    "negative_data_rejection",
)
CHECKS = Path(__file__).with_name("generated_checks.py")
CONFIG = Path(__file__).with_name("generated.toml")


@dataclass(frozen=True)
class Outcome:
    """What the server did.

    Parameters
    ----------
    cases
        Requests.
    failures
        Different faults.
    text
        What Schemathesis writes.
    """

    cases: int
    failures: int
    text: str


def try_requests(model: Path, folder: Path, *, examples: int, phases: str, seed: int) -> Outcome:
    """Ask a server of the model for what its document allows, and for what it does not.

    Parameters
    ----------
    model
        A bundle.
    folder
        An empty folder for the store.
    examples
        Random requests of each operation and phase.
    phases
        Phases of Schemathesis, comma-separated.
    seed
        Of the random requests.
    """
    store = published.open_store(folder)
    published.publish(store, published.scores(CUSTOMERS))
    store.close()
    port = free_port()
    command = [sys.executable, "-m", "stagecast", "serve", "--port", str(port)]
    command += ["--model", str(model), "--store", f"sqlite:///{folder / 'stagecast.db'}"]
    with serving(command, port, "/readyz"):
        run = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")),
                *("--config-file", str(CONFIG)),
                *("run", f"http://127.0.0.1:{port}/openapi.json", "--no-color"),
                *("--phases", phases, "--max-examples", str(examples), "--seed", str(seed)),
                *("--continue-on-failure", "--no-shrink", "--warnings", "off"),
                # no clock has a say: a busy machine answers late
                *("--suppress-health-check", "all", "--request-timeout", "600"),
                *("--exclude-checks", ",".join(NOT_CHECKED), "--generation-database", "none"),
            ],
            cwd=folder,
            env={**os.environ, "SCHEMATHESIS_HOOKS": str(CHECKS), "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
        )
    cases = re.search(r"([\d,]+) generated", run.stdout)
    failures = re.search(r"([\d,]+) unique failure", run.stdout)
    wrong = int(failures.group(1)) if failures else run.returncode
    return Outcome(int(cases.group(1)) if cases else 0, wrong, run.stdout + run.stderr)


def main() -> int:
    """Try requests until there were enough; return 1 where an answer was wrong."""
    from bench.__main__ import trained

    parser = argparse.ArgumentParser(prog="python -m bench.generated")
    parser.add_argument("--cases", type=int, default=10_000, help="requests (default 10,000)")
    parser.add_argument("--model", type=Path, help="a bundle; default: one is trained")
    parser.add_argument(
        "--phases",
        default="examples,coverage,fuzzing,stateful",
        help="of Schemathesis, in the first round (default: all)",
    )
    chosen = parser.parse_args()
    cases = failures = rounds = 0
    phases = chosen.phases
    with tempfile.TemporaryDirectory(prefix="stagecast-bench-") as name:
        folder = Path(name)
        if chosen.model is None:
            trained(folder / "model")
        while cases < chosen.cases:
            examples = max(2, (chosen.cases - cases) // OPERATIONS)
            (folder / str(rounds)).mkdir()
            outcome = try_requests(
                chosen.model or folder / "model",
                folder / str(rounds),
                examples=min(examples, 100),
                phases=phases,
                seed=1 + rounds,
            )
            # what is systematic is the same in each round
            phases, rounds = "fuzzing,stateful", rounds + 1
            cases, failures = cases + outcome.cases, failures + outcome.failures
            if outcome.failures or not outcome.cases:
                sys.stdout.write(outcome.text)
                failures = max(1, failures)
                break
    sys.stdout.write(f"{cases:,} requests made from the OpenAPI document: {failures} faults\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
