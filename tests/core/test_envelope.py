"""Envelopes and opaque ids: what an engine's store learns about a patient is nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import envelope
from app.core.envelope import Unreadable
from app.core.settings import settings

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_sealed_value_comes_back_as_it_was(value: object) -> None:
    sealed = envelope.seal_value(value, "zeebe")
    assert envelope.is_sealed(sealed)
    assert envelope.unseal_value(sealed, "zeebe") == value


def test_a_value_that_is_not_sealed_is_left_alone() -> None:
    assert envelope.unseal_value({"$enc": "x", "more": 1}, "zeebe") == {"$enc": "x", "more": 1}


def test_the_same_text_is_sealed_differently_each_time() -> None:
    first, second = envelope.seal(b"Ana Cruz", "temporal"), envelope.seal(b"Ana Cruz", "temporal")
    assert first != second
    assert b"Ana" not in first


def test_a_changed_byte_is_found_wherever_it_is() -> None:
    sealed = envelope.seal(b"Ana Cruz", "temporal")
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(Unreadable):
            envelope.unseal(changed, "temporal")


@pytest.mark.parametrize("broken", [b"", b"\x01", b"\x02" + b"x" * 40, b"\x01" + b"x" * 40])
def test_what_is_no_envelope_is_refused(broken: bytes) -> None:
    with pytest.raises(Unreadable):
        envelope.unseal(broken, "temporal")


def test_text_that_is_no_base64_is_refused() -> None:
    with pytest.raises(Unreadable):
        envelope.unseal_value({"$enc": "not base64!"}, "zeebe")


def test_an_envelope_for_one_purpose_does_not_open_for_another() -> None:
    with pytest.raises(Unreadable):
        envelope.unseal(envelope.seal(b"x", "temporal"), "zeebe")


def test_a_new_key_opens_what_a_retired_key_sealed_and_keeps_the_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMS_SECURITY__ENVELOPE_KEY", "first-key-of-the-clinic-0123456789")
    settings.cache_clear()
    sealed, name = envelope.seal(b"x", "temporal"), envelope.opaque("appointment", "TK-1")
    monkeypatch.setenv("DAMS_SECURITY__ENVELOPE_KEY", "second-key-of-the-clinic-012345678")
    settings.cache_clear()
    with pytest.raises(Unreadable):
        envelope.unseal(sealed, "temporal")
    monkeypatch.setenv("DAMS_SECURITY__RETIRED_ENVELOPE_KEYS", "first-key-of-the-clinic-0123456789")
    settings.cache_clear()
    assert envelope.unseal(sealed, "temporal") == b"x"
    assert envelope.opaque("appointment", "TK-1") == name


def test_an_opaque_id_says_nothing_and_is_always_the_same() -> None:
    first = envelope.opaque("appointment", "TK-1")
    assert first == envelope.opaque("appointment", "TK-1")
    assert "TK-1" not in first
    assert first not in {envelope.opaque("bill", "TK-1"), envelope.opaque("appointment", "TK-2")}
