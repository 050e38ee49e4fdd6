"""Which certificates our calls trust. To read them takes 15 ms, in which a loop does nothing else."""

from __future__ import annotations

import functools
import ssl

import httpx


@functools.cache
def context(*, of_environment: bool = True) -> ssl.SSLContext:
    """The process's own, made once; SSL_CERT_FILE and SSL_CERT_DIR count only where they are *of_environment*."""
    return httpx.create_ssl_context(trust_env=of_environment)
