"""Local times of the clinic in eight zones and over both changes of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clinic import local_time
from app.core.errors import Invalid

ZONES = (
    "America/New_York",
    "America/Sao_Paulo",
    "Europe/Berlin",
    "Europe/London",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Auckland",
    "UTC",
)
NEW_YORK = ZoneInfo("America/New_York")


def test_a_time_that_does_not_exist_is_refused_beside_its_field() -> None:
    with pytest.raises(Invalid) as refused:
        local_time.instant(date(2026, 3, 8), time(2, 30), field="time_scheduled", where=NEW_YORK)
    assert refused.value.errors == {
        "time_scheduled": "02:30 does not exist on 08 March 2026: the clocks go forward. Choose another time."
    }


def test_a_time_that_comes_twice_is_asked_about_and_either_may_be_chosen() -> None:
    night = (date(2026, 11, 1), time(1, 30))
    with pytest.raises(Invalid, match=r"first \(EDT\) or the second \(EST\)"):
        local_time.instant(*night, field="time", where=NEW_YORK)
    first = local_time.instant(*night, field="time", second=False, where=NEW_YORK)
    second = local_time.instant(*night, field="time", second=True, where=NEW_YORK)
    assert second - first == timedelta(hours=1)
    assert first == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert local_time.spelt(second, NEW_YORK) == "Sun 1 Nov 2026, 01:30 EST"


@given(where=st.sampled_from(ZONES).map(ZoneInfo), minutes=st.integers(0, 3 * 366 * 24 * 60))
def test_every_instant_is_found_again_by_its_local_time(where: ZoneInfo, minutes: int) -> None:
    moment = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    local = moment.astimezone(where)
    assert moment in local_time.instants(local.date(), local.time(), where)


@given(where=st.sampled_from(ZONES).map(ZoneInfo), day=st.dates(date(2025, 1, 1), date(2028, 1, 1)))
def test_days_follow_one_another_without_a_gap(where: ZoneInfo, day: date) -> None:
    begins, ends = local_time.day_bounds(day, where)
    assert begins < ends == local_time.day_bounds(day + timedelta(days=1), where)[0]
    assert begins.astimezone(where).date() == day
