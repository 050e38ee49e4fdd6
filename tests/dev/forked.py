"""A process for the tests of the forkserver: tells what it was given, then waits. FORKED says how its import is odd."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from app.core.settings import settings

odd = os.environ.get("FORKED")
if odd == "settings":
    settings()
elif odd == "thread":
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
elif odd == "broken":
    raise ImportError("broken as asked for")

if __name__ == "__main__":
    own = Path("/proc/self")
    told = {
        "arguments": sys.argv[1:],
        "own": os.environ.get("OWN"),
        "folder": str(Path.cwd()),
        "leads": os.getsid(0) == os.getpid(),
        "input": str((own / "fd/0").readlink()),
        "open": len(list((own / "fd").iterdir())) - 1,
        "shown": (own / "comm").read_text().strip(),
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    signal.pause()
