"""Imports every module of this package, so that `Base.metadata` is whole for migrations."""

from __future__ import annotations

import importlib
import pkgutil

import app.db
from app.db.base import Base

for _module in pkgutil.iter_modules(app.db.__path__, "app.db."):
    if _module.name != __name__:
        importlib.import_module(_module.name)

metadata = Base.metadata
