"""Where the checkout is. Apart from the settings, whose libraries take longer to import than most commands to run."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
