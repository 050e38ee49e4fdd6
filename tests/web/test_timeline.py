"""Whether the timeline is as it was written, as ops asks over the API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.core.settings import settings
from app.engines import seals
from tests.conftest import as_owner
from tests.web.conftest import Caller


async def test_what_was_changed_behind_the_services_back_is_told_by_its_number(
    caller: Callable[[str], Caller], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAMS_FILES__FOLDER", str(tmp_path))
    settings.cache_clear()
    case = caller("staff").start()["case"]
    while await seals.seal():
        pass
    await seals.sign()
    ops = caller("ops")
    whole = ops("GET", "/timeline/verification")
    assert (whole["ok"], whole["faults"], whole["heads"]) == (True, [], [])
    assert whole["events"] >= whole["sealed"] > 0
    await as_owner("alter table case_event disable trigger case_event_is_append_only")
    await as_owner("update case_event set kind = 'instance.cancelled' where kind = 'instance.started'")
    of_case = ops("GET", f"/timeline/verification?case={case}")
    assert (of_case["ok"], of_case["faults"][0]["why"]) == (False, "it, or the one before it, was changed")
    heads = tmp_path / seals.HEADS
    heads.write_text(heads.read_text().replace('"signature":"', '"signature":"0'))
    assert [one["why"] for one in ops("GET", "/timeline/verification")["heads"]] == ["its signature is not ours"]
    assert caller("staff").open("GET", "/api/v1/timeline/verification").status_code == 403
