"""Execute the notebooks, each in a folder of its own that is thrown away.

python -m tests.notebooks            execute, and fail on the first error
python -m tests.notebooks --write    and put the outputs back, cleaned (`make notebooks`)
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "notebooks"
CELL_SECONDS = 600
# of a cell: what the notebook format needs; everything else tells when and where it was executed
_KEPT_METADATA = {"tags"}


def notebooks() -> list[Path]:
    """Return the notebooks of the repository, in order."""
    return sorted(FOLDER.glob("*.ipynb"))


def execute(path: Path) -> str:
    """Execute a notebook from top to bottom, and return it with its outputs, cleaned.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell fails; the message holds the cell and its traceback.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory(
        prefix="stagecast-notebook-", ignore_cleanup_errors=True
    ) as folder:
        # the kernel reads and writes there, and takes nothing from the settings of whoever runs it
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("STAGECAST_")
        }
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
        )
        client.execute(env=environment, cleanup_kc=True)
    return cleaned(notebook)


def cleaned(notebook: Any) -> str:
    """Return a notebook as text, without what differs from one execution to the next."""
    import nbformat

    for cell in notebook["cells"]:
        cell["metadata"] = {
            name: value for name, value in cell["metadata"].items() if name in _KEPT_METADATA
        }
        # a progress bar or a log line on stderr is no result
        if cell["cell_type"] == "code":
            cell["outputs"] = [
                output for output in cell["outputs"] if output.get("name") != "stderr"
            ]
            for output in cell["outputs"]:
                if "metadata" in output:
                    output["metadata"] = {}
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return nbformat.writes(notebook) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Execute all notebooks, or those named."""
    parser = argparse.ArgumentParser(prog="python -m tests.notebooks", description=__doc__)
    parser.add_argument("names", nargs="*", type=Path, help="notebooks; default: all")
    parser.add_argument("--write", action="store_true", help="write the outputs back")
    chosen = parser.parse_args(arguments)
    for path in chosen.names or notebooks():
        text = execute(path)
        if chosen.write:
            draft = path.with_name(f".{path.name}.draft")
            draft.write_text(text, "utf-8")
            draft.replace(path)
        sys.stdout.write(f"{path.name}: executed{', written' if chosen.write else ''}\n")


if __name__ == "__main__":
    main()
