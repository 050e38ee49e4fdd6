"""Identifiers sort as they were made."""

from __future__ import annotations

import time

import pytest

from app.core.ids import uuid7


def test_ids_sort_as_they_were_made_also_within_a_millisecond() -> None:
    made = [uuid7() for _ in range(20_000)]
    assert made == sorted(set(made))
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}


def test_an_id_begins_with_the_milliseconds_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_800_000_000_123_999_999)
    assert [uuid7().int >> 80 for _ in range(3)] == [1_800_000_000_123, 1_800_000_000_124, 1_800_000_000_124]
