"""English and Spanish: which one a person reads, the catalogue, and the words of templates.

Templates are written in English as they stand; their literal text is looked up when they are shown, so a page needs no
marks. What has a value in the middle of a sentence is a `trans` block. A language is one `.po` file.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, g, request
from flask_babel import Babel, Domain, get_locale
from jinja2 import pass_context
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.runtime import Context
from markupsafe import Markup

from app.core.actor import Actor
from app.core.settings import ROOT

FOLDER = ROOT / "app/web/translations"
LANGUAGES = {"en": "English", "es": "Español"}
COOKIE = "dams_language"
DRAWING = "drawing"
"""The context of entries that pages hand to the libraries of the editor."""
_LETTER = re.compile(r"[^\W\d_]{2}")
_SHOWN = re.compile(r'(?<= )(?P<name>aria-label|placeholder|title|alt|data-label|data-say-\w+)="(?P<text>[^"]*)"')
_PLACE = re.compile(r"%\((\w+)\)s")


def chosen() -> str:
    """What the person chose in this browser, else their account's, else what the browser asks for."""
    given = request.cookies.get(COOKIE, "")
    if given in LANGUAGES:
        return given
    person: Actor | None = g.get("actor")
    if person is not None and person.locale in LANGUAGES and person.locale != "en":
        return person.locale
    return request.accept_languages.best_match(list(LANGUAGES)) or "en"


@lru_cache(maxsize=8)
def catalogue(language: str) -> NullTranslations:
    """The words of a language, read from its source file: nothing that is built lies beside it."""
    path = FOLDER / language / "messages.po"
    if not path.exists():
        return NullTranslations()
    compiled = io.BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)


@lru_cache(maxsize=8)
def drawing(language: str) -> dict[str, str]:
    """The words of the drawing tools: text as their libraries ask for it → text; empty where English is read."""
    path = FOLDER / language / "messages.po"
    if not path.exists():
        return {}
    with path.open("rb") as file:
        return {str(one.id): str(one.string) for one in read_po(file, locale=language) if one.context == DRAWING}


class _Words(Domain):
    """Flask-Babel's door to the catalogue."""

    def get_translations(self) -> NullTranslations:
        return catalogue(str(get_locale() or "en"))


class _Languages(Babel):
    @property
    def domain_instance(self) -> Domain:
        return _Words()


def word(text: str | None) -> str:
    """A text of ours in the reader's language; as it stands where there is none."""
    return catalogue(str(get_locale() or "en")).ugettext(text) if text else ""


def sentence(text: object) -> str:
    """A finished sentence in the reader's language: as a whole, else by the entry whose places it fills, with words."""
    said, language = str(text), str(get_locale() or "en")
    known = catalogue(language).ugettext(said)
    if known != said or language == "en":
        return known
    for pattern, translated in _sentences(language):
        if found := pattern.fullmatch(said):
            return translated % {name: catalogue(language).ugettext(value) for name, value in found.groupdict().items()}
    return said


@lru_cache(maxsize=8)
def _sentences(language: str) -> list[tuple[re.Pattern[str], str]]:
    """Entries with places, `%(name)s`, as patterns of the English sentence; the longest first."""
    path = FOLDER / language / "messages.po"
    with path.open("rb") as file:
        entries = [(str(one.id), str(one.string)) for one in read_po(file, locale=language) if isinstance(one.id, str)]
    placed = sorted((one for one in entries if _PLACE.search(one[0]) and one[1]), key=lambda one: -len(one[0]))
    return [(re.compile(_pattern(english), re.DOTALL), translated) for english, translated in placed]


def _pattern(english: str) -> str:
    parts = _PLACE.split(english)
    return "".join(f"(?P<{part}>.+)" if place % 2 else re.escape(part) for place, part in enumerate(parts))


def _literal(text: str) -> Markup:
    return Markup(word(text))  # noqa: S704 - the literal text of our own templates and catalogues


class Literal(Extension):
    """Looks up the literal text of a template: what stands between tags, and attributes that people read."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        environment.globals["literal"] = _literal

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        inside = reading = False  # a tag; a `trans` block, which is looked up by itself
        before: Token | None = None
        for token in stream:
            if token.type == "name" and before is not None and before.type == "block_begin":
                reading = token.value == "trans" or (reading and token.value != "endtrans")
            before = token
            if token.type != "data" or reading:
                yield token
                continue
            for text, shown in pieces(token.value, inside):
                yield from _looked_up(text, token.lineno) if shown else [Token(token.lineno, "data", text)]
            inside = _ends_inside(token.value, inside)


def pieces(source: str, inside: bool) -> Iterator[tuple[str, bool]]:
    """A template's literal text in parts, each with whether people read it. *inside*: it begins within a tag."""
    if inside:
        head, end, source = source.partition(">")
        yield from _attributes(head + end)
    for part in re.split(r"(<[^>]*>?)", source):
        if part.startswith("<"):
            yield from _attributes(part)
        elif _LETTER.search(part):
            body = part.strip()
            start = part.index(body)
            yield part[:start], False
            yield body, True
            yield part[start + len(body) :], False
        else:
            yield part, False


def _attributes(tag: str) -> Iterator[tuple[str, bool]]:
    at = 0
    for found in _SHOWN.finditer(tag):
        if _LETTER.search(found["text"]):
            yield tag[at : found.start("text")], False
            yield found["text"], True
            at = found.end("text")
    yield tag[at:], False


def _ends_inside(source: str, inside: bool) -> bool:
    last = source.rfind("<"), source.rfind(">")
    return inside if last == (-1, -1) else last[0] > last[1]


def _looked_up(text: str, line: int) -> Iterator[Token]:
    yield Token(line, "variable_begin", "{{")
    yield Token(line, "name", "literal")
    yield Token(line, "lparen", "(")
    yield Token(line, "string", text)
    yield Token(line, "rparen", ")")
    yield Token(line, "variable_end", "}}")


def _each_time(say: Callable[[Any], str]) -> Callable[[Context, Any], str]:
    """A filter that Jinja does not apply to constants once for all when it compiles a template, in no language."""

    @pass_context
    def said(_context: Context, text: Any) -> str:
        return say(text)

    return said


def register(flask: Flask) -> None:
    """Flask-Babel with our catalogues; the words of every template."""
    _Languages(flask, default_locale="en", locale_selector=chosen)
    flask.jinja_env.add_extension(Literal)
    flask.add_template_filter(_each_time(sentence), "sentence")
    flask.add_template_filter(_each_time(word), "word")

    @flask.context_processor
    def everywhere() -> dict[str, Any]:
        return {"language": str(get_locale() or "en"), "languages": LANGUAGES}
