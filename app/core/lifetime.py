"""Dying with one's parent: what keeps a killed supervisor from leaving processes behind."""

from __future__ import annotations

import ctypes
import os
import signal

VARIABLE = "DAMS_DIE_WITH_PARENT"
PR_SET_PDEATHSIG = 1


def die_with_parent(signal_number: int = signal.SIGKILL) -> None:
    """Ask the kernel to send *signal_number* to this process when its parent ends (prctl(2), Linux only).

    The kernel forgets the request when a process changes its user, so it is made after that.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def die_with_parent_if_asked() -> None:
    """For processes that a server forks itself, such as the web server's workers: a fork forgets what was asked.

    By force: one that would first finish its work may wait for a server that has just died with the same parent.
    """
    if os.environ.get(VARIABLE):
        die_with_parent()
