"""What browser tests need beside Python: a Chromium (named, on PATH, or locked in npm) and the axe checker."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from app.core.settings import ROOT
from app.dev import frontend
from app.dev.zeebe import cache_folder

PACKAGE = ROOT / "tests/browser"
LOCK = PACKAGE / "package-lock.json"
ASK = "import('@sparticuz/chromium').then(m => m.default.executablePath()).then(p => console.log(p))"


def find(report: Callable[[str], None]) -> str:
    """The path of a Chromium. Raises RuntimeError when none can be had: the run fails, nothing is skipped."""
    if named := os.environ.get("DAMS_BROWSER"):
        return named
    for name in ("chromium", "google-chrome", "chromium-browser"):
        if found := shutil.which(name):
            return found
    folder = packages(report).parent
    node = shutil.which("node") or frontend.node()[0]
    return _run([node, "-e", ASK], folder).strip()


def axe(report: Callable[[str], None]) -> Path:
    """The script that finds accessibility faults in a page. Raises RuntimeError when it cannot be had."""
    return packages(report) / "axe-core/axe.min.js"


def packages(report: Callable[[str], None]) -> Path:
    """The installed npm packages of the lock file, in the user's cache: each lock file has a folder of its own."""
    folder = cache_folder() / f"browser-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            report("fetching a Chromium and axe for the tests (67 MB)")
            for name in ("package.json", "package-lock.json"):
                shutil.copy(PACKAGE / name, folder / name)
            _run([*frontend.node(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)
            (folder / "done").touch()
    return folder / "node_modules"


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"no Chromium for the tests: {done.stderr.strip()[-500:]}")
    return done.stdout
