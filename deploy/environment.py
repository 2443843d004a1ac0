"""Makes a Python environment from lock files: ``python3 deploy/environment.py VENV LOCK...``.

A lock is complete, so nothing is resolved: exactly its packages are installed (``--no-deps``,
every file by its hash), whatever has been published since. Then the environment is checked to be
whole.

uv does the work, itself pinned and hashed in ``requirements/bootstrap.txt``, since it takes a
quarter of pip's time; where it is not to be had, pip does. Packages come from wherever the
machine's pip is told to fetch them. Needs nothing but Python and its pip (or, without pip, the
package python3-venv).
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

BOOTSTRAP = Path(__file__).parent / "requirements" / "bootstrap.txt"
QUIET = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
}
ELSEWHERE = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_BREAK_SYSTEM_PACKAGES": "0"}
"""Habits of a machine's pip that have no place here: we say where things go."""

TRUE = ("1", "true", "yes", "on")


class Failed(Exception):
    """A command ended with an error; its output is the message."""


def main(arguments: list[str] | None = None) -> int:
    """Make or complete the environment; the exit code. What is wrong goes to standard error."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("venv", type=Path)
    parser.add_argument("locks", nargs="*", type=Path)
    parser.add_argument(
        "--optional",
        type=Path,
        default=[],
        action="append",
        help="a lock that some machines have no files for",
    )
    parser.add_argument("--project", type=Path, help="install this folder too, editable")
    parser.add_argument("--without-uv", action="store_true", help="use pip alone")
    parser.add_argument("--uv", nargs=argparse.REMAINDER, help="run the pinned uv instead")
    chosen = parser.parse_args(arguments)
    try:
        python = make(chosen.venv.absolute())
        installers = choose(python, chosen.venv.absolute(), without_uv=chosen.without_uv)
        if chosen.uv is None:
            fill(installers, chosen.locks, chosen.optional, chosen.project)
        elif isinstance(installers[0], Uv):
            uv = installers[0]
            return subprocess.call([uv.program, *chosen.uv], env=uv.environment)
        else:
            raise Failed("uv is not to be had on this machine")
    except Failed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def make(place: Path) -> Path:
    """An environment of this Python at *place*, without pip.

    One of another Python, or a broken one, is made anew.
    """
    python = place / "bin" / "python"
    try:
        version = run([python, "-c", "import sys; print(*sys.version_info[:2])"]).split()
    except Failed:
        version = []
    if version != [str(number) for number in sys.version_info[:2]]:
        venv.create(place, clear=True, symlinks=True)
    return python


class Pip:
    """Installs with pip: this Python's own, or else the one that ensurepip brings."""

    def __init__(self, python: Path) -> None:
        self._python = python
        try:
            run([sys.executable, "-m", "pip", "--version"])
        except Failed:
            try:
                run([python, "-m", "ensurepip"])
            except Failed:
                raise Failed(
                    f"{sys.executable} has neither pip nor ensurepip: install one of them (on"
                    " Debian and Ubuntu: apt-get install python3-pip), or say make"
                    " PYTHON=/path/to/a/python"
                ) from None
            self._pip = [python, "-m", "pip"]
            self._there = self._pip
        else:
            self._pip = [sys.executable, "-m", "pip"]
            self._there = [*self._pip, "--python", python]

    def install(self, *arguments: object) -> None:
        """``pip install`` into the environment."""
        run([*self._there, "install", "--quiet", "--no-deps", *arguments])

    def check(self) -> None:
        """Is everything there that the packages need?"""
        run([*self._there, "check"])

    def fetch(self, lock: Path, target: Path) -> None:
        """Install the ready-made files of *lock* into a folder."""
        run(
            [
                *self._pip,
                "install",
                "--quiet",
                "--no-deps",
                "--require-hashes",
                "--only-binary=:all:",
                "--target",
                target,
                "-r",
                lock,
            ]
        )

    def settings(self) -> dict[str, str]:
        """What pip is configured to, by name; the strongest source of each."""
        found: dict[str, str] = {}
        strength: dict[str, int] = {}
        order = ("global", "install", ":env:")
        for line in run([*self._pip, "config", "list"]).splitlines():
            name, _, value = line.partition("=")
            section, _, key = name.partition(".")
            if section in order and order.index(section) >= strength.get(key, 0):
                strength[key] = order.index(section)
                found[key] = str(ast.literal_eval(value))
        return found


class Uv:
    """Installs with uv, from where pip would fetch."""

    def __init__(self, uv: Path, python: Path, settings: dict[str, str]) -> None:
        self.program = uv
        self._python = python
        self._index = ["--no-index"] if settings.get("no-index", "").lower() in TRUE else []
        self.environment = {**translated(settings), **os.environ}

    def install(self, *arguments: object) -> None:
        """``uv pip install`` into the environment."""
        self._run("install", "--no-deps", *self._index, *arguments)

    def check(self) -> None:
        """Is everything there that the packages need?"""
        self._run("check")

    def _run(self, command: str, *arguments: object) -> None:
        chosen = ["--python", self._python]
        run([self.program, "--quiet", "pip", command, *chosen, *arguments], self.environment)


def translated(settings: dict[str, str]) -> dict[str, str]:
    """pip's settings as uv's environment. All has a hash, so any of the places may give it."""
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "find-links": "UV_FIND_LINKS",
        "trusted-host": "UV_INSECURE_HOST",
        "timeout": "UV_HTTP_TIMEOUT",
        "default-timeout": "UV_HTTP_TIMEOUT",
        "cert": "SSL_CERT_FILE",
        "keyring-provider": "UV_KEYRING_PROVIDER",
    }
    made = {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_SYSTEM_CERTS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    for key, value in settings.items():
        if key in names and value:
            made[names[key]] = (",".join if key == "find-links" else " ".join)(value.split())
        elif key == "proxy":
            made |= {"HTTP_PROXY": value, "HTTPS_PROXY": value}
    return made


def choose(python: Path, place: Path, *, without_uv: bool) -> list[Pip | Uv]:
    """Who may install, best first."""
    pip = Pip(python)
    if without_uv:
        return [pip]
    home = place / ".uv"
    uv, mark = home / "bin" / "uv", home / hashlib.sha256(BOOTSTRAP.read_bytes()).hexdigest()
    try:
        if not mark.exists():
            shutil.rmtree(home, ignore_errors=True)
            pip.fetch(BOOTSTRAP, home)
            run([uv, "--version"])
            mark.touch()
        return [Uv(uv, python, pip.settings()), pip]
    except Failed:
        shutil.rmtree(home, ignore_errors=True)
        return [pip]


def fill(
    installers: list[Pip | Uv],
    locks: list[Path],
    optional: list[Path],
    project: Path | None,
) -> None:
    """Install everything by the first installer that can, and check the whole."""
    for number, installer in enumerate(installers, start=1):
        last = number == len(installers)
        try:
            files = [part for lock in locks for part in ("-r", lock)]
            installer.install("--require-hashes", *files)
            for lock in optional:
                try:
                    installer.install("--require-hashes", "-r", lock)
                except Failed as error:
                    if not last:
                        raise
                    reason = str(error).splitlines()[-1]
                    sys.stderr.write(f"Without {lock}, which this machine does not get: {reason}\n")
            if project is not None:
                installer.install("--no-build-isolation", "--editable", project)
            installer.check()
        except Failed:
            if last:
                raise
        else:
            return


def run(command: list[object], environment: dict[str, str] | None = None) -> str:
    """The command's output."""
    env = {**(environment or os.environ), **QUIET, **ELSEWHERE}
    try:
        done = subprocess.run(
            [str(part) for part in command],
            check=False,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise Failed(f"{command[0]}: {error.strerror}") from None
    if done.returncode != 0:
        raise Failed(done.stdout.strip() or f"{command[0]} ended with {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
