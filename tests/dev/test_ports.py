"""A port that was chosen is nobody else's before its server listens."""

from __future__ import annotations

import secrets
import subprocess
import sys

import pytest

from app.core.lifetime import die_with_parent
from app.core.settings import ROOT
from app.dev.state import free_ports

CHOOSE = "from app.dev.state import free_ports; print(free_ports(1)[0], flush=True); input()"


def test_what_a_process_has_chosen_nobody_else_is_given_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    own, wanted = free_ports(2), list[int]()
    command = [sys.executable, "-c", CHOOSE]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent
    ) as other:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())  # nothing listens there
        wanted += [theirs, *own, *range(10_000, 20_000)]
        monkeypatch.setattr(secrets.SystemRandom, "sample", lambda *_: wanted)
        assert free_ports(1)[0] not in (theirs, *own)
        other.communicate("\n")
    assert free_ports(1) == [theirs]
