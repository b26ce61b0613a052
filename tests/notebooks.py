"""Execute the notebooks, each in a folder of its own that is thrown away.

python -m tests.notebooks            execute, and fail on the first error, or where the outputs
                                     that are stored in the file are not those of today
python -m tests.notebooks --write    and put the outputs back, cleaned (`make notebooks`)
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "notebooks"
CELL_SECONDS = 600
_NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?")
_WORDS = re.compile(rf"{_NUMBER.pattern}|[^\s\d+-]+|[+-]")
_VERSION = re.compile(r"\b[0-9a-f]{12}\b")
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
                if "image/png" in output.get("data", {}):
                    output["data"]["image/png"] = smaller(output["data"]["image/png"])
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return nbformat.writes(notebook) + "\n"


def differences(stored: str, executed: str) -> list[str]:
    """Return how the texts that two runs of a notebook display differ: cell, stored, executed.

    Numbers may differ by 2 % or by two units of their last digit, since other processors round
    otherwise; versions of models are left out.
    """
    lines = []
    for position, (expected, actual) in enumerate(
        zip(_displayed(stored), _displayed(executed), strict=True), start=1
    ):
        if len(expected) != len(actual):
            lines.append(
                f"cell {position}: {len(expected)} words are stored, {len(actual)} displayed"
            )
            continue
        pairs = [(a, b) for a, b in zip(expected, actual, strict=True) if not _alike(a, b)]
        lines += [f"cell {position}: {a!r} is stored, {b!r} displayed" for a, b in pairs[:3]]
    return lines


def _displayed(notebook: str) -> list[list[str]]:
    """Return the words and numbers that each code cell displays as text."""
    texts = []
    for cell in json.loads(notebook)["cells"]:
        if cell["cell_type"] == "code":
            shown = [
                o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell["outputs"]
            ]
            texts.append(
                _WORDS.findall(_VERSION.sub("", " ".join("".join(text) for text in shown)))
            )
    return texts


def _alike(expected: str, actual: str) -> bool:
    if expected == actual:
        return True
    if not (_NUMBER.fullmatch(expected) and _NUMBER.fullmatch(actual)):
        return False
    a, b = (float(text.replace(",", "")) for text in (expected, actual))
    last = 10.0 ** -len(expected.partition(".")[2])
    return abs(a - b) <= max(0.02 * abs(a), 2.5 * last)


def smaller(png: str) -> str:
    """Return a chart, PNG in Base64, with 128 colours, an eighth of its size."""
    from PIL import Image

    small = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture.quantize(128).save(small, "png", optimize=True)
    return base64.b64encode(small.getvalue()).decode("ascii")


def main(arguments: Sequence[str] | None = None) -> None:
    """Execute all notebooks, or those named."""
    parser = argparse.ArgumentParser(prog="python -m tests.notebooks", description=__doc__)
    parser.add_argument("names", nargs="*", type=Path, help="notebooks; default: all")
    parser.add_argument("--write", action="store_true", help="write the outputs back")
    chosen = parser.parse_args(arguments)
    for path in chosen.names or notebooks():
        stored = path.read_text("utf-8")
        text = execute(path)
        if not chosen.write and (lines := differences(stored, text)):
            raise SystemExit(
                f"{path.name}: run make notebooks, and read it again\n" + "\n".join(lines)
            )
        if chosen.write:
            draft = path.with_name(f".{path.name}.draft")
            draft.write_text(text, "utf-8")
            draft.replace(path)
        sys.stdout.write(f"{path.name}: executed{', written' if chosen.write else ''}\n")


if __name__ == "__main__":
    main()
