"""`docs/modelling.md` as a page: what can be drawn, and every rule with its example and cure, each with an address."""

from __future__ import annotations

import re
from functools import lru_cache

from flask import Blueprint, render_template
from markdown_it import MarkdownIt
from markupsafe import Markup

from app.core.settings import ROOT
from app.web.security import signed_in

blueprint = Blueprint("guide", __name__)
FILE = ROOT / "docs/modelling.md"
_HEADING = re.compile(r"<h([1-4])>(.*?)</h\1>")
_RULE = re.compile(r"<tr>\n<td><code>([a-z0-9-]+)</code></td>")


@blueprint.get("/help/modelling")
@signed_in
async def show() -> str:
    return render_template("guide.html", text=_text(FILE.stat().st_mtime))


@lru_cache(maxsize=1)
def _text(_changed: float) -> Markup:
    """HTML of the file; raw HTML in it is shown as text. A rule's row has the rule's name as its id."""
    shown = MarkdownIt("commonmark", {"html": False}).enable("table").render(FILE.read_text())
    shown = shown.replace("<table>", '<div class="scrolled" tabindex="0" role="group" aria-label="Table"><table>')
    shown = shown.replace("</table>", "</table></div>")
    shown = shown.replace("<th></th>", "<td></td>")
    shown = _HEADING.sub(lambda found: f'<h{found[1]} id="{_slug(found[2])}">{found[2]}</h{found[1]}>', shown)
    return Markup(_RULE.sub(r'<tr id="\1">\n<td><code>\1</code></td>', shown))  # noqa: S704 - our own file, no raw HTML


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"<[^>]+>", "", title).lower()).strip("-")
