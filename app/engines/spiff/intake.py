"""Reading an uploaded file as XML, in bounded time and without letting it reach anything: no entities, no network.

What comes out is a tree that is well-formed and small enough to check. What it means is the business of `checks`.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from io import BytesIO
from typing import Any, Final, Literal

import lxml.etree as etree

from app.core.settings import settings

Xml = Any
"""An lxml element; the library ships no types."""

BPMN: Final = "http://www.omg.org/spec/BPMN/20100524/MODEL"
CAMUNDA: Final = "http://camunda.org/schema/1.0/bpmn"
ZEEBE: Final = "http://camunda.org/schema/zeebe/1.0"
SPIFF: Final = "http://spiffworkflow.org/bpmn/schema/1.0/core"
MODELER: Final = "http://camunda.org/schema/modeler/1.0"

MAX_DEPTH = 100
_PLAIN = ("utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1", "windows-1252")
_DECLARED = re.compile(rb"^\s*<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_PROLOG = re.compile(r"(?:\s+|<!--.*?-->|<\?.*?\?>)*+<!DOCTYPE", re.DOTALL)
_NAMESPACE = re.compile(r"\{[^}]*\}")


class XmlRefused(Exception):
    """The file is not taken as XML at all. ``line`` is 0 when no line can be named.

    ``element`` is the type and id of the last element that could be read, both "" if there is none.
    """

    def __init__(self, rule: str, message: str, fix: str, line: int = 0, element: tuple[str, str] = ("", "")) -> None:
        super().__init__(message)
        self.rule, self.message, self.fix, self.line, self.element = rule, message, fix, line, element


@dataclass(frozen=True, slots=True)
class Fault:
    """One place where a file departs from the BPMN 2.0 schema; ``node`` is the element at fault or the root."""

    line: int
    message: str
    node: Xml


def read(content: bytes) -> Xml:
    """The root element of a file.

    Raises:
        XmlRefused: too large, a DOCTYPE, an encoding nobody draws models in, not well-formed, too deep, too many
            elements; decided in this order, so that the cheap answers come first.
    """
    limit = settings().engine.file_kb * 1024
    if len(content) > limit:
        raise XmlRefused("too-large", f"the file is larger than {limit // 1024} KB", "split it into several processes")
    text = _decode(content)
    if _PROLOG.match(_DECLARATION.sub("", text, count=1)):
        raise XmlRefused("doctype", "the file has a DOCTYPE", "take out the <!DOCTYPE …> line", 1)
    root = _parse(text)
    _measure(root)
    return root


def as_text(content: bytes) -> str:
    """A file's text, well-formed or not; its own declaration is left out where it names another encoding than UTF-8.

    Raises:
        XmlRefused: no text, or in an encoding nobody draws models in.
    """
    text = _decode(content)
    found = _DECLARED.match(content[:200])
    return text if not found or found[1].lower() in (b"utf-8", b"utf8") else _DECLARATION.sub("", text, count=1)


def schema_faults(root: Xml, most: int = 20) -> list[Fault]:
    """Where the tree departs from the BPMN 2.0 schema, the first ``most`` places."""
    schema = _schema()
    with _schema_lock:  # the error log belongs to the schema object, not to the call
        if schema.validate(root):
            return []
        return [Fault(entry.line, _plain(entry.message), _at(root, entry)) for entry in list(schema.error_log)[:most]]


def _at(root: Xml, entry: Any) -> Xml:
    """The element that the validator complains of."""
    names = {prefix: uri for prefix, uri in root.nsmap.items() if prefix}
    try:
        found = root.getroottree().xpath(entry.path, namespaces=names)
    except etree.XPathError:  # a prefix that is declared further in
        found = []
    at_line = (node for node in root.iter() if node.sourceline == entry.line)
    return found[0] if found else next(at_line, root)


def engine_of(root: Xml) -> Literal["spiff", "zeebe"]:
    """Which engine a file is drawn for: its platform mark, else whether Zeebe's extensions occur in it."""
    platform = root.get(f"{{{MODELER}}}executionPlatform", "")
    if platform:
        return "zeebe" if platform == "Camunda Cloud" else "spiff"
    return "zeebe" if next(root.iter(f"{{{ZEEBE}}}*"), None) is not None else "spiff"


def dialect_of(root: Xml) -> Literal["camunda", "python"]:
    """In a Camunda 7 file `${…}` is JUEL; in any other that runs here every expression is Python."""
    if root.get(f"{{{MODELER}}}executionPlatform", "") == "Camunda Platform":
        return "camunda"
    return "camunda" if CAMUNDA in root.nsmap.values() else "python"


def _decode(content: bytes) -> str:
    """Failure prevented: a DOCTYPE hidden from a search for ASCII letters by UTF-16, UTF-7 or EBCDIC."""
    encoding = "utf-8"
    if content.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        encoding = "utf-32"
    elif content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif content.startswith(b"\xef\xbb\xbf"):
        encoding = "utf-8-sig"
    elif found := _DECLARED.match(content[:200]):
        encoding = found[1].decode("ascii").lower()
        if encoding not in _PLAIN:
            raise XmlRefused("encoding", f"the encoding {encoding} is not accepted", "save the file as UTF-8", 1)
    try:
        return content.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        raise XmlRefused("not-xml", "the file is not text in the encoding it names", "save the file as UTF-8") from None


def _parse(text: str) -> Xml:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(_DECLARATION.sub("", text, count=1).encode(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        line = getattr(error, "lineno", 0) or 0
        message = " ".join(str(error).split(", line")[0].split()) or "nothing that could be read"
        if "depth" in message.lower():
            raise XmlRefused("too-deep", "elements are nested too deeply", "split the process", line) from None
        fix = "open it in the modeler and save it again"
        raise XmlRefused("not-xml", f"this is no well-formed XML: {message}", fix, line, _last_read(text)) from None
    # Second lock on the same door: whatever the prolog search missed is seen by the parser itself.
    if root.getroottree().docinfo.doctype:
        raise XmlRefused("doctype", "the file has a DOCTYPE", "take out the <!DOCTYPE …> line", 1)
    return root


def _last_read(text: str) -> tuple[str, str]:
    """Type and id of the last element with an id before the place where the text stops being XML."""
    content = BytesIO(_DECLARATION.sub("", text, count=1).encode())
    last = "", ""
    try:
        for _, node in etree.iterparse(content, ("start",), resolve_entities=False, no_network=True, load_dtd=False):
            if node.get("id"):
                last = str(node.tag).rpartition("}")[2], node.get("id")
    except etree.XMLSyntaxError:
        return last
    return last


def _measure(root: Xml) -> None:
    limit = settings().engine.file_elements
    count = depth = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        count += event == "start"
        if count > limit:
            raise XmlRefused("too-many-elements", f"the file has more than {limit} XML elements", "split the process")
        if depth > MAX_DEPTH:
            raise XmlRefused("too-deep", f"elements are nested more than {MAX_DEPTH} deep", "split the process")


_schema_lock = threading.Lock()


@lru_cache(maxsize=1)
def _schema() -> Any:
    """The BPMN 2.0 schema as the SpiffWorkflow package ships it."""
    with as_file(files("SpiffWorkflow.bpmn.parser") / "schema") as folder:
        return etree.XMLSchema(etree.parse(str(folder / "BPMN20.xsd")))


def _plain(message: str) -> str:
    """The validator's words without namespaces."""
    return _NAMESPACE.sub("", message)[:300]
