"""The process that asks MLflow for a server.

``python -m stagecast.serving.follow.registry_process`` reads ``uri``, ``model`` and ``folder`` as
JSON on stdin, and prints as JSON the version that the model names now, and the folder of its bundle
where it was to download it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stagecast.features.errors import StagecastError


def ask(job: Mapping[str, Any]) -> dict[str, str]:
    """Return the version, and the folder of its bundle.

    Raises
    ------
    StagecastError
        MLflow has no such model, or cannot be asked.
    """
    from stagecast.training.tracking.fetching import fetch_into, registered_version

    registered = registered_version(job["uri"], job["model"])
    answer = {"version": str(registered.version)}
    if job["folder"] is not None:
        folder = fetch_into(Path(job["folder"]), job["uri"], str(registered.source))
        answer["folder"] = str(folder)
    return answer


def main() -> int:
    """Read a job, do it, and report; return the exit code."""
    try:
        answer = ask(json.load(sys.stdin))
    except StagecastError as error:
        sys.stderr.write(" ".join(str(error).split()) + "\n")
        return error.exit_code
    except Exception as error:  # whatever a broken registry brings about is a reason
        sys.stderr.write(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}\n")
        return UNREADABLE
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


UNREADABLE = 3

if __name__ == "__main__":
    sys.exit(main())
