"""Draws a model from its own coordinates as SVG: without JavaScript, in print, and while the bundle is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] - untyped
from markupsafe import Markup, escape

from app.web.outline import Drawn

DI = "{http://www.omg.org/spec/BPMN/20100524/DI}"
DC = "{http://www.omg.org/spec/DD/20100524/DC}"
WAY = "{http://www.omg.org/spec/DD/20100524/DI}"
MARGIN = 20.0
LINE, CHARACTERS = 14, 15
SHADES = 5
"""Of a heat map, each a class of the style sheet."""


@dataclass(frozen=True, slots=True)
class Box:
    id: str
    x: float
    y: float
    width: float
    height: float


def draw(
    model: Drawn,
    done: Iterable[str] = (),
    now: Iterable[str] = (),
    trouble: Iterable[str] = (),
    heat: Mapping[str, tuple[int, str]] | None = None,
) -> Markup | None:
    """The drawing as inline SVG, or None for a file without coordinates. Names are escaped: they come from outside.

    *heat* gives elements a shade from 1 to 5 and a few characters to stand above them.
    """
    root = etree.fromstring(model.diagram, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
    boxes = [box for shape in root.iter(f"{DI}BPMNShape") if (box := _box(shape)) and box.id in model.elements]
    lines = [_line(edge) for edge in root.iter(f"{DI}BPMNEdge") if edge.get("bpmnElement") in model.elements]
    if not boxes:
        return None
    left, top = min(box.x for box in boxes) - MARGIN, min(box.y for box in boxes) - MARGIN
    right = max(box.x + box.width for box in boxes) + MARGIN
    bottom = max(box.y + box.height for box in boxes) + MARGIN * 2
    tones = dict.fromkeys(done, "d-done") | dict.fromkeys(now, "d-now") | dict.fromkeys(trouble, "d-trouble")
    shades = heat or {}
    tones |= {own: f"d-heat-{shade}" for own, (shade, _) in shades.items()}
    parts = [f'<polyline class="d-flow" points="{line}" marker-end="url(#arrow)"/>' for line in lines if line]
    parts += [_shape(model, box, tones.get(box.id, "")) for box in boxes]
    parts += [_above(box, shades[box.id][1]) for box in boxes if box.id in shades]
    view = f"{left:g} {top:g} {right - left:g} {bottom - top:g}"
    return Markup(  # noqa: S704 - numbers and escaped names only
        f'<svg class="plain-diagram" viewBox="{view}" aria-hidden="true" focusable="false">'
        '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0 10 5 0 10z" class="d-head"/></marker></defs>'
        f"{''.join(parts)}</svg>"
    )


def _box(shape: etree._Element) -> Box | None:  # pyright: ignore[reportPrivateUsage] - lxml's type
    bounds = shape.find(f"{DC}Bounds")
    if bounds is None:
        return None
    try:
        x, y, width, height = (float(bounds.get(name, "")) for name in ("x", "y", "width", "height"))
    except ValueError:
        return None
    return Box(shape.get("bpmnElement", ""), x, y, width, height)


def _line(edge: etree._Element) -> str:  # pyright: ignore[reportPrivateUsage] - lxml's type
    try:
        points = [(float(way.get("x", "")), float(way.get("y", ""))) for way in edge.iter(f"{WAY}waypoint")]
    except ValueError:
        return ""
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _shape(model: Drawn, box: Box, tone: str) -> str:
    kind = model.elements[box.id].type
    middle_x, middle_y = box.x + box.width / 2, box.y + box.height / 2
    if kind.endswith("Event"):
        radius = min(box.width, box.height) / 2
        shape = f'<circle class="d-node {tone}" cx="{middle_x:g}" cy="{middle_y:g}" r="{radius:g}"/>'
        return shape + _text(model.elements[box.id].name, middle_x, box.y + box.height + LINE)
    if kind.endswith("Gateway"):
        corners = f"{middle_x:g},{box.y:g} {box.x + box.width:g},{middle_y:g} "
        corners += f"{middle_x:g},{box.y + box.height:g} {box.x:g},{middle_y:g}"
        shape = f'<polygon class="d-node {tone}" points="{corners}"/>'
        return shape + _text(model.elements[box.id].name, middle_x, box.y + box.height + LINE)
    shape = (
        f'<rect class="d-node {tone}" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" '
        f'height="{box.height:g}" rx="8"/>'
    )
    return shape + _text(model.elements[box.id].name, middle_x, middle_y + 4, centred=True)


def _above(box: Box, label: str) -> str:
    x = box.x + box.width / 2
    return f'<text class="d-label" text-anchor="middle" x="{x:g}" y="{box.y - 6:g}">{escape(label)}</text>'


def _text(name: str, x: float, y: float, *, centred: bool = False) -> str:
    rows: list[str] = []
    for word in name.split():
        if rows and len(rows[-1]) + len(word) < CHARACTERS:
            rows[-1] += f" {word}"
        else:
            rows.append(word[: CHARACTERS * 2])
    rows = rows[:4]
    first = y - (len(rows) - 1) * LINE / 2 if centred else y
    spans = "".join(
        f'<tspan x="{x:g}" y="{first + number * LINE:g}">{escape(row)}</tspan>' for number, row in enumerate(rows)
    )
    return f'<text class="d-name" text-anchor="middle">{spans}</text>' if rows else ""
