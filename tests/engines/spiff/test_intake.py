"""Hostile and broken files: refused in bounded time, for the right reason, without reaching for anything."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from app.engines.spiff import intake
from app.engines.spiff.intake import XmlRefused, dialect_of, engine_of, read, schema_faults
from tests import drawing as draw
from tests.engines.spiff.test_checks import checked

MODEL = draw.sequence("P", draw.manual_task("t"))
HEAD = f'<bpmn:definitions xmlns:bpmn="{intake.BPMN}" targetNamespace="x">'
TAIL = "</bpmn:definitions>"
LAUGHS = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
BOMB = f'<!DOCTYPE lolz [<!ENTITY a "ha">{LAUGHS}]>{HEAD}&j;{TAIL}'
QUADRATIC = f'<!DOCTYPE x [<!ENTITY a "{"x" * 100_000}">]>{HEAD}{"&a;" * 10_000}{TAIL}'

REFUSED = {
    "50 MB": (b"<a>" + b"x" * 50_000_000, "too-large"),
    "300,000 tasks": ((HEAD + "<bpmn:task/>" * 300_000 + TAIL).encode(), "too-large"),
    "100,000 small elements": ((HEAD + "<a/>" * 100_000 + TAIL).encode(), "too-many-elements"),
    "a bomb of entities": (BOMB.encode(), "doctype"),
    "a quadratic bomb": (QUADRATIC.encode(), "doctype"),
    "a bomb in UTF-16": (BOMB.encode("utf-16"), "doctype"),
    "a bomb in UTF-32": (BOMB.encode("utf-32"), "doctype"),
    "a bomb behind a byte order mark": (b"\xef\xbb\xbf" + BOMB.encode(), "doctype"),
    "a bomb behind comments": (("<?xml version='1.0'?>\n<!-- <a> --><?pi?>\n" + BOMB).encode(), "doctype"),
    "a bomb in UTF-7": (b'<?xml version="1.0" encoding="UTF-7"?>' + BOMB.encode("utf-7"), "encoding"),
    "a bomb in EBCDIC": (BOMB.encode("cp500"), "not-xml"),
    "an encoding nobody knows": (b'<?xml version="1.0" encoding="x-none"?><a/>', "encoding"),
    "a lie about the encoding": (b'<?xml version="1.0" encoding="utf-8"?><a>\xff</a>', "not-xml"),
    "UTF-16 without a mark": (BOMB.encode("utf-16-le"), "not-xml"),
    "deep nesting": (("<a>" * 200 + "</a>" * 200).encode(), "too-deep"),
    "very deep nesting": (("<a>" * 100_000 + "</a>" * 100_000).encode(), "too-deep"),
    "a tag that is not closed": (HEAD.encode(), "not-xml"),
    "nothing": (b"", "not-xml"),
    "JSON": (b'{"a": 1}', "not-xml"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00", "not-xml"),
    "a million comments": (b"<!-- -->" * 200_000, "not-xml"),
    "a comment that never ends": (b"<!--" * 400_000, "not-xml"),
    "a million blanks": (b" " * 1_900_000, "not-xml"),
    "a NUL": (MODEL.replace(b"definitions", b"defin\x00itions", 1), "not-xml"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_hostile_or_broken_file_is_refused_in_under_two_seconds(what: str) -> None:
    content, rule = REFUSED[what]
    began = time.process_time()  # of this process: a busy machine makes it wait, not work
    found = checked(content)
    assert time.process_time() - began < 2
    assert [problem.rule for problem in found.problems] == [rule]
    assert found.problems[0].fix
    assert found.files == ()


@pytest.mark.parametrize("scheme", ["file://{}", "{}"])
def test_no_entity_is_read_from_a_file(scheme: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("secret")
    content = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{scheme.format(canary)}">]>{HEAD}&e;{TAIL}'
    found = checked(content.encode())
    assert [problem.rule for problem in found.problems] == ["doctype"]
    assert "secret" not in str(found)


def test_an_inclusion_of_another_file_stays_inert(tmp_path: Path) -> None:
    canary = tmp_path / "canary.xml"
    canary.write_text("<secret/>")
    include = f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{canary}" />'
    extension = f"<bpmn:extensionElements>{include}</bpmn:extensionElements>"
    root = read(MODEL.replace(b"<bpmn:startEvent", extension.encode() + b"<bpmn:startEvent", 1))
    assert not list(root.iter("secret"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig", "iso-8859-1"])
def test_a_model_in_an_ordinary_encoding_is_read(encoding: str) -> None:
    text = MODEL.decode().replace('name="t"', 'name="Über"').replace("UTF-8", encoding.removesuffix("-sig"))
    assert [node.get("name") for node in read(text.encode(encoding)).iter(f"{{{intake.BPMN}}}manualTask")] == ["Über"]


def test_a_line_of_a_broken_file_is_named() -> None:
    with pytest.raises(XmlRefused) as raised:
        read(b"<a>\n<b>\n</a>")
    assert (raised.value.rule, raised.value.line) == ("not-xml", 3)


def test_xml_that_is_no_bpmn_is_refused() -> None:
    assert [problem.rule for problem in checked(b"<html/>").problems] == ["not-xml"]


def test_an_element_that_bpmn_does_not_know_is_named_with_its_line() -> None:
    [fault] = schema_faults(read(MODEL.replace(b"<bpmn:manualTask", b"\n<bpmn:robotTask", 1)))
    assert fault.line == 6
    assert fault.message.startswith("Element 'robotTask': This element is not expected.")


def test_the_schema_can_be_asked_by_many_threads_at_once() -> None:
    wrong = read(MODEL.replace(b"<bpmn:manualTask", b"<bpmn:robotTask", 1))
    right = read(MODEL)
    answers: list[tuple[int, int]] = []

    def ask() -> None:
        answers.extend((len(schema_faults(wrong)), len(schema_faults(right))) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [(1, 0)] * 80


@pytest.mark.parametrize(
    ("extra", "engine", "dialect"),
    [
        ('modeler:executionPlatform="Camunda Platform"', "spiff", "camunda"),
        ('modeler:executionPlatform="Camunda Cloud"', "zeebe", "python"),
        ('xmlns:camunda="http://camunda.org/schema/1.0/bpmn"', "spiff", "camunda"),
        ('xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"', "spiff", "python"),
        ("", "spiff", "python"),
    ],
)
def test_engine_and_dialect_come_from_the_file_itself(extra: str, engine: str, dialect: str) -> None:
    head = HEAD.replace(" targetNamespace", f' xmlns:modeler="{intake.MODELER}" {extra} targetNamespace')
    root = read((head + TAIL).encode())
    assert (engine_of(root), dialect_of(root)) == (engine, dialect)
