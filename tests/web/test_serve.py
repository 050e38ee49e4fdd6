"""The process that serves the web: what it keeps in memory."""

from __future__ import annotations

import subprocess
import sys

SIGN_INS = """
import resource, sys, threading
from argon2 import PasswordHasher
from app.web import serve

if "{call}":
    serve.{call}()
hasher, together = PasswordHasher(memory_cost=19_456), threading.Barrier(17)

def check():
    hasher.hash("a password"); hasher.hash("another")
    together.wait(); together.wait()

threads = [threading.Thread(target=check) for _ in range(16)]
for thread in threads:
    thread.start()
together.wait()
pages = int(open("/proc/self/statm").read().split()[1])
together.wait()
print(pages * resource.getpagesize() // 2**20)
"""


def test_threads_that_checked_passwords_keep_none_of_the_memory() -> None:
    bounded, unbounded = [
        int(subprocess.check_output([sys.executable, "-c", SIGN_INS.replace("{call}", call)]))
        for call in ("return_large_blocks", "gc.collect")
    ]
    assert unbounded - bounded > 150, (bounded, unbounded)  # MiB; 16 threads took 19 each
