"""The link to the broker: its three kinds, many starts at once, a broker that is killed and comes back."""

from __future__ import annotations

import grpc
import pytest
from pydantic import ValidationError

from app.core.settings import Settings, settings
from app.engines.zeebe import broker


@pytest.mark.parametrize("kind", ["insecure", "tls", "oauth"])
async def test_a_channel_of_each_kind_can_be_made(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMS_ZEEBE__CHANNEL", kind)
    monkeypatch.setenv("DAMS_ZEEBE__CLIENT_ID", "dams")
    monkeypatch.setenv("DAMS_ZEEBE__CLIENT_SECRET", "a-secret")
    monkeypatch.setenv("DAMS_ZEEBE__TOKEN_URL", "https://login.example/token")
    settings.cache_clear()
    made = broker.channel()
    assert isinstance(made, grpc.aio.Channel)
    await made.close()


def test_another_kind_of_channel_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMS_ZEEBE__CHANNEL", "telnet")
    with pytest.raises(ValidationError, match=r"zeebe\.channel"):
        Settings()
