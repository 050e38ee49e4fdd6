"""Times in a model: ISO 8601 as it stands, or an expression that gives ISO 8601; both end as Python in the tree."""

from __future__ import annotations

import ast
import re
from datetime import date, datetime
from zoneinfo import ZoneInfo

from app.core.settings import settings
from app.engines.spiff.checks.model import B, Model, Text, kind, scope_of
from app.engines.spiff.expressions import compile_expression, translate
from app.engines.spiff.intake import Xml
from app.engines.spiff.subset import ScriptRefused

_DURATION = re.compile(
    r"P(?=.)(?:\d+W|(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+(?:[.,]\d+)?S)?)?)", re.ASCII
)
_CYCLE = re.compile(r"R(\d{0,6})/([^/]+)(?:/([^/]+))?", re.ASCII)
_WORDS = {"timeDate": "a date and time like 2027-03-31T09:00:00", "timeDuration": "a duration like PT30M",
          "timeCycle": "a cycle like R3/PT10M"}  # fmt: skip


def check(model: Model) -> None:
    for event in model.nodes:
        for definition in event.iterchildren(f"{B}timerEventDefinition"):
            _check_timer(model, event, definition)


def _check_timer(model: Model, event: Xml, definition: Xml) -> None:
    holders = [child for child in definition if kind(child) in _WORDS and (child.text or "").strip()]
    if len(holders) != 1:
        model.report("timer-syntax", event, "has no time, or several", "write one date, duration or cycle")
        return
    holder = holders[0]
    text = holder.text.strip()
    try:
        source = _translated(text, kind(holder), model)
        compiled = compile_expression(source)
    except ScriptRefused as refused:
        rule = refused.rule if refused.rule in ("script-name", "expression-dialect") else "timer-syntax"
        model.report(rule, event, f"its time cannot be read: {refused.message}",
                     f"write {_WORDS[kind(holder)]}", holder.sourceline)  # fmt: skip
        return
    if kind(event) == "startEvent" and kind(scope_of(event)) == "process" and not plain_time(text, kind(holder)):
        model.report("timer-syntax", event, "its time is an expression, but a process that starts has no variables yet",
                     f"write {_WORDS[kind(holder)]}", holder.sourceline)  # fmt: skip
    holder.text = compiled.source
    model.texts.append(Text(event, "timer", compiled))


def _translated(text: str, slot: str, model: Model) -> str:
    iso = plain_time(text, slot)
    if iso:
        return repr(iso)
    if re.match(r"[+-]?(?:[PpRr][\d-]|P\b|PT|R\w*/|\d{4}-)", text) or len(text.split()) >= 5:
        raise ScriptRefused(f"{text[:40]!r} is not {_WORDS[slot]}")
    source = translate(text, model.dialect)
    _check_literal(source, slot)
    return source


def _check_literal(source: str, slot: str) -> None:
    """A time spelt out as a Python text or number is checked now, not when it is due."""
    try:
        value = ast.literal_eval(source.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return
    if not isinstance(value, str) or not plain_time(value, slot):
        raise ScriptRefused(f"{str(value)[:40]!r} is not {_WORDS[slot]}")


def plain_time(text: str, slot: str) -> str:
    """ISO 8601 text as the engine reads it, dates with the clinic's offset; "" when it is none."""
    text = text.strip()
    if slot == "timeDuration":
        return text.replace(",", ".") if _DURATION.fullmatch(text) and text != "P" else ""
    if slot == "timeDate":
        return _moment(text)
    found = _CYCLE.fullmatch(text)
    if not found or (found[1] and int(found[1]) == 0):  # R0 would never happen
        return ""
    parts = [part for part in found.groups()[1:] if part]
    read = [(part if _DURATION.fullmatch(part) else _moment(part)) for part in parts]
    if not all(read) or not any(_DURATION.fullmatch(part) for part in parts):
        return ""
    if any(_DURATION.fullmatch(part) and not re.search("[1-9]", part) for part in parts):
        return ""  # a cycle without a pause would never let anything else happen
    return "/".join([f"R{found[1]}", *read])


def _moment(text: str) -> str:
    """Failure prevented: a time without an offset would be read in the server's zone, not the clinic's."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(settings().clinic.time_zone))
    return moment.isoformat()


def is_due(text: str) -> bool:
    """True for a due date of a task: a duration, a day, or a moment."""
    if plain_time(text, "timeDuration") or _moment(text):
        return True
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
