"""Built scripts and styles by their plain name. Without a build the pages work; diagrams are drawn by the server."""

from __future__ import annotations

from functools import lru_cache

import orjson
from flask import Flask, url_for

from app.core.settings import ROOT

MANIFEST = ROOT / "app/web/static/dist/manifest.json"


@lru_cache(maxsize=1)
def _manifest(_changed: float) -> dict[str, str]:
    return orjson.loads(MANIFEST.read_bytes())


def asset(name: str) -> str | None:
    """The address of a built file, e.g. ``app.css``, under its hashed name; None without a build."""
    if not MANIFEST.exists():
        return None
    built = _manifest(MANIFEST.stat().st_mtime).get(name)
    return url_for("static", filename=f"dist/{built}") if built else None


def register(flask: Flask) -> None:
    flask.jinja_env.globals["asset"] = asset  # pyright: ignore[reportArgumentType]
