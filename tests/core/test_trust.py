"""The certificates that calls trust are read once in a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core import trust


def test_the_environment_names_certificates_only_where_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    trust.context.cache_clear()
    assert trust.context(of_environment=False).get_ca_certs()
    with pytest.raises(FileNotFoundError):
        trust.context()
    monkeypatch.undo()
    assert trust.context() is trust.context()
