"""Models that are being drawn in the browser: saved whether they are valid or not, never over somebody else's save.

A draft that is the same text as the active version of its process is none any more: it was deployed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row, RowMapping, text

from app.clinic import audit
from app.core.actor import Actor
from app.core.errors import Conflict, Invalid, NotFound, TooLarge
from app.core.settings import settings
from app.db.session import Session
from app.engines.spiff import intake
from app.engines.spiff.specs import BundleFile

Engine = Literal["spiff", "zeebe", "dmn"]
MAX_KEY = 200


@dataclass(frozen=True, slots=True)
class Text:
    """What is saved: the file's *xml* as it stands, begun from *base_version* of its process (None: from nothing)."""

    engine: Engine
    file: str
    name: str
    xml: str
    base_version: int | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    key: str
    engine: Engine
    file: str
    name: str
    xml: str
    base_version: int | None
    revision: int
    saved_at: datetime
    saved_by: str
    discarded_at: datetime | None
    deployed: bool
    """Whether the active version of the process is this text."""

    @property
    def open(self) -> bool:
        """Whether there is something in it that is neither deployed nor discarded."""
        return self.discarded_at is None and (self.engine == "dmn" or not self.deployed)


_ROWS = """
    select d.key, d.engine, d.file, d.name, {xml}, d.base_version, d.revision, d.saved_at, d.discarded_at,
           coalesce(nullif(l.display_name, ''), l.username, '') as saved_by,
           exists(select from model m where m.process_id = d.key and m.active
                  and m.sha256 = encode(sha256(convert_to(d.xml, 'UTF8')), 'hex')) as deployed
    from model_draft d left join login l on l.id = d.saved_by
"""


async def find(session: Session, key: str) -> Draft | None:
    """The draft under *key* whatever became of it, or None."""
    found = await session.execute(text(_ROWS.format(xml="d.xml") + "where d.key = :key"), {"key": key})
    row = found.mappings().first()
    return _draft(row) if row else None


async def listing(session: Session) -> list[Draft]:
    """Every open draft, the newest first; without their texts."""
    found = await session.execute(text(_ROWS.format(xml="'' as xml") + "order by d.saved_at desc"))
    return [draft for row in found.mappings() if (draft := _draft(row)).open]


_FIRST = """
    insert into model_draft (key, engine, file, name, xml, base_version, revision, saved_by)
    values (:key, :engine, :file, :name, :xml, :base, 1, :actor) on conflict (key) do nothing returning revision
"""
_AGAIN = """
    update model_draft set file = :file, name = :name, xml = :xml, base_version = :base, revision = revision + 1,
      saved_at = now(), saved_by = :actor, discarded_at = null
    where key = :key and revision = :revision and engine = :engine returning revision
"""


async def save(session: Session, actor: Actor, key: str, given: Text, revision: int) -> int:
    """Keep *given* and answer its revision. *revision* is the one that was read, 0 where there was none.

    Raises:
        Conflict: somebody saved or discarded since; the context says who and when.
        TooLarge, Invalid: the text cannot be kept.
    """
    _check(key, given)
    values: dict[str, Any] = {
        "key": key,
        "engine": given.engine,
        "file": given.file,
        "name": given.name,
        "xml": given.xml,
        "base": given.base_version,
        "revision": revision,
        "actor": actor.id,
    }
    saved = await session.scalar(text(_AGAIN if revision else _FIRST), values)
    if saved is None:
        raise await _overtaken(session, key)
    data = {"key": key, "file": given.file, "revision": saved}
    await audit.record(session, "model.draft-saved", actor_id=actor.id, data=data)
    return int(saved)


async def discard(session: Session, actor: Actor, key: str, revision: int) -> None:
    """Put a draft away. Raises :class:`Conflict` as :func:`save` does."""
    await _set_discarded(session, actor, key, revision, "now()", "model.draft-discarded")


async def restore(session: Session, actor: Actor, key: str, revision: int) -> None:
    """Bring a discarded draft back. Raises :class:`Conflict` as :func:`save` does."""
    await _set_discarded(session, actor, key, revision, "null", "model.draft-restored")


async def handed_over(session: Session, key: str) -> list[BundleFile]:
    """The draft under *key* and the tables that it names, for the deploy page. Raises :class:`NotFound`."""
    draft = await find(session, key)
    if draft is None or not draft.open:
        raise NotFound("There is no such draft: save it first.")
    return bundle(draft.file, draft.xml, await tables(session, draft.xml))


async def keep_tables(session: Session, actor: Actor, files: Sequence[BundleFile]) -> None:
    """Keep the decision tables of a deployment that are not drawn here yet, for the next change of what names them."""
    for file in files:
        if not file.name.endswith(".dmn"):
            continue
        text = decoded(file.content)
        root = intake.read(file.content)
        key = root.get("id", "")
        if 0 < len(key) <= MAX_KEY and await find(session, key) is None:
            await save(session, actor, key, Text("dmn", file.name, root.get("name", "")[:200], text), 0)


async def tables(session: Session, xml: str) -> list[BundleFile]:
    """The decision tables drawn here that *xml* may name: what is checked and deployed together with it."""
    if "decisionRef" not in xml and "calledDecision" not in xml and "calledDecisionId" not in xml:
        return []
    kept = await _tables(session)
    return [
        BundleFile(one.file, one.xml.encode()) for one in kept if any(f'"{own}"' in xml for own, _ in _named(one.xml))
    ]


async def decisions(session: Session) -> list[tuple[str, str]]:
    """Id and name of each decision drawn here."""
    return sorted({decision for one in await _tables(session) for decision in _named(one.xml)})


async def _tables(session: Session) -> Sequence[Row[Any]]:
    kept = "select file, xml from model_draft where engine = 'dmn' and discarded_at is null order by key"
    return (await session.execute(text(kept))).all()


def _named(table: str) -> list[tuple[str, str]]:
    try:
        root = intake.read(table.encode())
    except intake.XmlRefused:
        return []
    return [(own, node.get("name", "")) for node in root.iter("{*}decision") if (own := node.get("id", ""))]


def decoded(content: bytes) -> str:
    """The text of a file as it can be kept. Raises :class:`Invalid` where it is none."""
    try:
        return intake.as_text(content)
    except intake.XmlRefused as error:
        raise Invalid({"file": f"{error.message}: {error.fix}."}) from None


def _check(key: str, given: Text) -> None:
    if len(key) > MAX_KEY:
        raise Invalid({"key": f"A draft's key has up to {MAX_KEY} characters."})
    limit = settings().engine.file_kb * 1024
    if len(given.xml.encode()) > limit:
        raise TooLarge(f"A model has up to {limit // 1024} KB: split it into several processes.")
    if "\x00" in given.xml:
        raise Invalid({"file": "The file holds a NUL character, so it is no XML."})
    if not given.xml.strip():
        raise Invalid({"file": "The file is empty."})


async def _set_discarded(session: Session, actor: Actor, key: str, revision: int, moment: str, kind: str) -> None:
    changed = await session.scalar(
        text(f"""update model_draft set discarded_at = {moment}, revision = revision + 1, saved_at = now(),
                   saved_by = :actor where key = :key and revision = :revision returning revision"""),  # noqa: S608 - constants only
        {"key": key, "revision": revision, "actor": actor.id},
    )
    if changed is None:
        raise await _overtaken(session, key)
    await audit.record(session, kind, actor_id=actor.id, data={"key": key, "revision": changed})


async def _overtaken(session: Session, key: str) -> Conflict | NotFound:
    theirs = await find(session, key)
    if theirs is None:
        return NotFound("There is no such draft any more.")
    done = "discarded" if theirs.discarded_at else "saved"
    return Conflict(
        f"{theirs.saved_by or 'Somebody'} {done} this draft meanwhile. Yours is not lost: it is still in front of you.",
        saved_by=theirs.saved_by,
        saved_at=theirs.saved_at.isoformat(),
        done=done,
        revision=theirs.revision,
    )


def _draft(row: RowMapping) -> Draft:
    return Draft(**row)


def bundle(file: str, xml: str, further: Sequence[BundleFile]) -> list[BundleFile]:
    """The file with what belongs to it, as a deployment takes it."""
    return [BundleFile(file, xml.encode()), *further]
