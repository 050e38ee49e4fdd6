"""The mail that the demo keeps: a letter is there when it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import Envelope

from app.dev.smtp_sink import Folder
from app.web.views import mailbox


async def test_who_looks_while_a_letter_is_written_sees_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[mailbox.Letter]] = []
    rename = Path.rename

    def looked(self: Path, target: Any) -> Path:
        seen.append(mailbox.read(tmp_path))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", looked)
    for word in ("one", "two"):
        letter = Envelope()
        letter.rcpt_tos, letter.content = ["ana@clinic.example"], f"Subject: {word}\r\n\r\nwords".encode()
        unused: Any = None
        await Folder(tmp_path).handle_DATA(unused, unused, letter)
    assert [[one.subject for one in letters] for letters in seen] == [[], ["one"]]
    assert [one.subject for one in mailbox.read(tmp_path)] == ["two", "one"]
