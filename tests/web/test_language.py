"""English and Spanish: who gets which, that every page has words, and that sentences of the inside are translated."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest
from babel.dates import format_date
from babel.messages.pofile import read_po
from flask import Flask
from lxml import html

from app.web import language
from app.web.language import Literal
from tests.days import MONDAY
from tests.web.conftest import Caller, Visitor

TEMPLATES = Path(__file__).resolve().parents[2] / "app/web/templates"
OWN = (
    "base",
    "booked",
    "booking",
    "consultation",
    "editor",
    "error",
    "guide",
    "home",
    "macros",
    "register",
    "signin",
    "signup",
    "task",
)
"""Templates whose every word has a translation; the words of others are translated where the catalogue has them."""
NAMES = {"DAMS", "· DAMS"}


def words(template: str) -> set[str]:
    """The literal text of a template that people read."""
    environment = jinja2.Environment(extensions=["jinja2.ext.i18n", Literal], autoescape=True)
    tokens = list(environment._tokenize((TEMPLATES / f"{template}.html").read_text(), template))
    return {b.value for a, b in zip(tokens, tokens[2:], strict=False) if (a.value, b.type) == ("literal", "string")}


@pytest.mark.parametrize("template", OWN)
def test_every_word_of_a_page_has_a_translation(template: str) -> None:
    with (language.FOLDER / "es/messages.po").open("rb") as file:
        known = {one.id for one in read_po(file) if one.string}
    assert words(template) - known - NAMES == set()


def test_places_of_an_entry_are_the_same_in_both_languages() -> None:
    with (language.FOLDER / "es/messages.po").open("rb") as file:
        entries = [one for one in read_po(file) if isinstance(one.id, str) and one.id]
    place = re.compile(r"%\((\w+)\)s")
    wrong = [one.id for one in entries if set(place.findall(one.id)) != set(place.findall(str(one.string)))]
    assert wrong == []
    assert len(entries) > 300


def test_a_browser_is_answered_in_its_language_and_a_choice_wins(visitor: Callable[[str], Visitor]) -> None:
    person = visitor("")
    spanish = {"headers": {"Accept-Language": "es-ES,es;q=0.9,en;q=0.5"}}
    page = html.fromstring(person.get("/login", **spanish).text)
    assert page.get("lang") == "es"
    assert page.xpath("string(//button[not(@name)])") == "Iniciar sesión"
    assert html.fromstring(person.get("/login", headers={"Accept-Language": "fr"}).text).get("lang") == "en"
    back = person.post("/language", language="en", next="/login?next=/home").headers["Location"]
    assert back == "/login?next=/home"
    assert html.fromstring(person.get("/login", **spanish).text).get("lang") == "en"
    person.post("/language", 400, language="xx")
    assert person.post("/language", language="es", next="//elsewhere").headers["Location"] == "/"


def test_the_day_of_the_desk_is_in_spanish(caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]) -> None:
    task = caller("staff").start()["tasks"][0]["id"]
    desk = visitor("staff")
    desk.post("/language", language="es")
    home = desk.get("/home").text
    assert "1 tarea abierta" in home
    assert "Especialidad del médico" in home
    assert "Cita médica" in home
    page = html.fromstring(desk.post(f"/tasks/{task}/complete", 422, specialization="").text)
    assert "1 campo por corregir" in page.text_content()
    assert "Rellene: Especialidad." in page.text_content()
    assert "Completar y seguir" in page.text_content()


def test_dates_follow_the_language(visitor: Callable[[str], Visitor]) -> None:
    desk = visitor("staff")
    desk.post("/doctor/expertise", specialization="Cardiology")
    at = desk.post("/doctor/select", docid="HSP-200").headers["Location"]
    first = html.fromstring(desk.get(f"{at}&from={MONDAY}").text).xpath("string(//legend)")
    assert first == f"Mon {MONDAY.day} {MONDAY:%b %Y}"
    desk.post("/language", language="es")
    first = html.fromstring(desk.get(f"{at}&from={MONDAY}").text).xpath("string(//legend)")
    assert first.startswith(f"lun {MONDAY.day} ")
    assert first == format_date(MONDAY, "EEE d MMM y", "es")


def test_the_editor_is_given_the_words_of_its_libraries(visitor: Callable[[str], Visitor]) -> None:
    person = visitor("modeler")
    english = html.fromstring(person.get("/models/new").text)
    assert english.xpath("//section[@id='editor']/@data-words") == []
    person.post("/language", language="es")
    [given] = html.fromstring(person.get("/models/new").text).xpath("//section[@id='editor']/@data-words")
    words = json.loads(given)
    assert (words["Append task"], words["<none>"]) == ("Añadir tarea", "<ninguno>")
    place = re.compile(r"{\w+}")
    assert [text for text, said in words.items() if place.findall(text) != place.findall(said)] == []
    assert "drawing" not in words  # a word of the pages


@pytest.mark.parametrize(
    ("english", "spanish"),
    [
        ("Enter a whole number from 1 to 5.", "Escriba un número entero de 1 a 5."),
        ("Case A-12 is complete.", "El caso A-12 está completo."),
        ("Nobody translated this.", "Nobody translated this."),
        ("due in 3 min", "vence en 3 min"),
    ],
)
def test_a_finished_sentence_is_translated_with_its_values(app: Flask, english: str, spanish: str) -> None:
    with app.test_request_context(headers={"Accept-Language": "es"}):
        assert language.sentence(english) == spanish
    with app.test_request_context():
        assert language.sentence(english) == english


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("<p>Close</p>", "<p>Cerrar</p>"),
        ('<a title="Close" href="{{ 1 }}">Close</a>', '<a title="Cerrar" href="1">Cerrar</a>'),
        ('<b class="Close">x</b>', '<b class="Close">x</b>'),
        ("{% if 1 %}Close{% endif %}", "Cerrar"),
        ("{% trans %}Close{% endtrans %} Close", "Cerrar Cerrar"),
        ("<i data-x='{{ 1 }}' >\n Close\n</i>", "<i data-x='1' >\n Cerrar\n</i>"),
        ("{{ 'Close' | word }}", "Cerrar"),
    ],
)
def test_literal_text_is_looked_up_and_nothing_else(app: Flask, source: str, shown: str) -> None:
    template = app.jinja_env.from_string(source)  # compiled once, for whoever comes first
    with app.test_request_context(headers={"Accept-Language": "es"}):
        assert template.render() == shown
