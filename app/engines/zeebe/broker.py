"""Calls to the Zeebe gateway: one channel per event loop, each call bounded in time and number.

Nothing of pyzeebe or gRPC leaves this module: a broker that is away or overloaded is :class:`Unavailable`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import grpc
from pyzeebe import (
    ZeebeClient,
    create_insecure_channel,
    create_oauth2_client_credentials_channel,
    create_secure_channel,
)
from pyzeebe.errors import (
    JobAlreadyDeactivatedError,
    JobNotFoundError,
    ProcessDefinitionNotFoundError,
    ProcessInstanceNotFoundError,
    ProcessInvalidError,
    ProcessTimeoutError,
    ZeebeBackPressureError,
    ZeebeDeadlineExceeded,
    ZeebeGatewayUnavailableError,
    ZeebeInternalError,
)

from app.core.errors import DamsError, NoAnswer, NotFound, Unavailable
from app.core.settings import settings

R = TypeVar("R")

OPTIONS = (
    ("grpc.keepalive_time_ms", 45_000),
    # gRPC's own default waits up to two minutes before it looks for a broker that has come back.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
AWAY = (
    ZeebeBackPressureError,
    ZeebeGatewayUnavailableError,
    ZeebeInternalError,
    ZeebeDeadlineExceeded,
    grpc.aio.AioRpcError,
    ConnectionError,
)
"""What a call raises while the broker is down, has no leader yet, or refuses work because it has too much."""


HEALTH_SECONDS = 2.0
"""A broker's word on itself takes no longer, or it is away."""
RESULT_MS = 24 * 3600 * 1000
"""How long the gateway keeps a call that waits for a result: longer than whoever asked, because Zeebe 8.5 closes the
connection to the broker under one call that runs out of time, and all other calls on it fail with it."""


class Interrupted(Unavailable):
    """The gateway lost its broker while the call waited

    What was asked for may have been done.
    """


class Refused(DamsError):
    """Zeebe refused the model

    `detail` holds Zeebe's own words.
    """

    code, status = "zeebe-refused", 422


@dataclass(frozen=True, slots=True)
class Definition:
    """A process as the broker has it."""

    process_id: str
    version: int
    key: int


def channel() -> grpc.aio.Channel:
    """A new channel of the configured kind, for the running loop; it connects by itself and again after a loss."""
    given = settings().zeebe
    if given.channel == "insecure":
        return create_insecure_channel(grpc_address=given.address, channel_options=OPTIONS)
    trusted = Path(given.ca_file).read_bytes() if given.ca_file else None
    credentials = grpc.ssl_channel_credentials(root_certificates=trusted)
    if given.channel == "tls":
        return create_secure_channel(
            grpc_address=given.address, channel_options=OPTIONS, channel_credentials=credentials
        )
    return create_oauth2_client_credentials_channel(
        grpc_address=given.address,
        client_id=given.client_id,
        client_secret=given.client_secret.get_secret_value(),
        authorization_server=given.token_url,
        audience=given.token_audience,
        channel_credentials=credentials,
        channel_options=OPTIONS,
    )


@dataclass(slots=True)
class Bucket:
    """Tokens that come back at a steady rate; who finds none waits for his."""

    rate: float
    size: float
    _left: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._left, self._at = self.size, time.monotonic()

    async def take(self) -> None:
        now = time.monotonic()
        self._left = min(self.size, self._left + (now - self._at) * self.rate) - 1
        self._at = now
        if self._left < 0:
            await asyncio.sleep(-self._left / self.rate)


@dataclass(slots=True)
class _Link:
    """What one loop holds towards one gateway."""

    address: str
    channel: grpc.aio.Channel
    client: Any
    places: asyncio.Semaphore
    bucket: Bucket


_links: WeakKeyDictionary[asyncio.AbstractEventLoop, _Link] = WeakKeyDictionary()


def _link() -> _Link:
    """Made on first use: a channel dies on a second loop and in a forked child."""
    loop, given = asyncio.get_running_loop(), settings().zeebe
    found = _links.get(loop)
    if found is None or found.address != given.address:
        made = channel()
        bucket = Bucket(given.calls_per_second, given.calls_at_once)
        found = _Link(given.address, made, ZeebeClient(made, -1), asyncio.Semaphore(given.calls_at_once), bucket)
        _links[loop] = found
    return found


async def close() -> None:
    """Close the running loop's channel."""
    found = _links.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.channel.close()


async def answers() -> bool:
    """Whether a healthy leader serves some partition, asked within :data:`HEALTH_SECONDS`."""
    try:
        topology = await asyncio.wait_for(_link().client.topology(), HEALTH_SECONDS)
    except (*AWAY, TimeoutError):
        return False
    partitions = [partition for broker in topology.brokers for partition in broker.partitions]
    return any(int(partition.role) == 0 and int(partition.health) == 0 for partition in partitions)


async def deploy(resources: dict[str, bytes]) -> list[Definition]:
    """Deploy files, by the names under which the broker shall know them; what it has already keeps its version.

    Raises:
        Refused: Zeebe's parser or validation says no; nothing was deployed.
        Unavailable: the broker does not answer within the limit.
    """
    with tempfile.TemporaryDirectory(prefix="dams-zeebe-") as folder:
        paths = [Path(folder) / name for name in resources]
        for path, content in zip(paths, resources.values(), strict=True):
            path.write_bytes(content)
        try:
            answer = await _call(lambda: _link().client.deploy_resource(*paths))
        except ProcessInvalidError as error:
            raise Refused(_words(error)) from error
    found = [item for item in answer.deployments if hasattr(item, "bpmn_process_id")]
    return [Definition(item.bpmn_process_id, item.version, item.process_definition_key) for item in found]


async def create(process_id: str, variables: dict[str, Any]) -> int:
    """Start an instance of the newest version; its key. A lost answer and a second call make a second instance.

    Raises:
        NotFound: the broker does not know the process.
        Unavailable: the broker does not answer within the limit.
    """
    link = _link()
    await link.bucket.take()
    try:
        made = await _call(lambda: link.client.run_process(process_id, variables))
    except ProcessDefinitionNotFoundError as error:
        raise NotFound(f"Zeebe does not know the process {process_id}.") from error
    return made.process_instance_key


async def create_with_result(process_id: str, variables: dict[str, Any], wanted: list[str], seconds: float) -> Any:
    """Start an instance and wait for the *wanted* variables at its end.

    Raises:
        NoAnswer: it had not ended after *seconds*.
        Interrupted: the gateway lost its broker meanwhile; the instance may run.
        NotFound, Unavailable: as :func:`create`.
    """
    link = _link()
    await link.bucket.take()

    def call() -> Awaitable[Any]:
        return link.client.run_process_with_result(process_id, variables, variables_to_fetch=wanted, timeout=RESULT_MS)

    try:
        made = await _call(call, seconds)
    except ProcessDefinitionNotFoundError as error:
        raise NotFound(f"Zeebe does not know the process {process_id}.") from error
    except ProcessTimeoutError as error:
        raise NoAnswer("Zeebe did not bring a result in time.", engine="zeebe") from error
    except Unavailable as error:
        if isinstance(error.__cause__, TimeoutError) and await answers():
            raise NoAnswer("Zeebe did not bring a result in time.", engine="zeebe") from error
        raise
    return made.variables


async def cancel(instance_key: int) -> None:
    """Cancel an instance; one that has ended is left as it is. Raises :class:`Unavailable`."""
    try:
        await _call(lambda: _link().client.cancel_process_instance(instance_key))
    except ProcessInstanceNotFoundError:
        return


async def set_job_timeout(job_key: int, milliseconds: int) -> bool:
    """Move the moment from which a job in hand is given out again. False if nobody has it in hand any more.

    Raises :class:`Unavailable`.
    """
    adapter = _link().client.zeebe_adapter
    try:
        await _call(lambda: adapter.update_job_timeout(job_key, milliseconds))
    except (JobNotFoundError, JobAlreadyDeactivatedError):
        return False
    return True


async def fail_job(job_key: int, retries: int, message: str, back_off_ms: int) -> None:
    """Give a job back; it is given out again after *back_off_ms*. Raises :class:`Unavailable`."""
    adapter = _link().client.zeebe_adapter
    with contextlib.suppress(JobNotFoundError, JobAlreadyDeactivatedError):
        await _call(lambda: adapter.fail_job(job_key, retries, message, back_off_ms, {}))


async def _call(call: Callable[[], Awaitable[R]], seconds: float | None = None) -> R:
    """*call*, with backpressure waited out inside the limit. Raises :class:`Unavailable` after it."""
    limit = seconds or settings().zeebe.call_seconds
    try:
        async with asyncio.timeout(limit), _link().places:
            return await _through_backpressure(call)
    except ZeebeInternalError as error:
        raise Interrupted("Zeebe lost the call.", engine="zeebe", retry_after=5) from error
    except (*AWAY, TimeoutError) as error:
        raise Unavailable("Zeebe does not answer.", engine="zeebe", retry_after=5) from error


async def _through_backpressure(call: Callable[[], Awaitable[R]]) -> R:
    wait = 0.03
    while True:
        try:
            return await call()
        except ZeebeBackPressureError:
            await asyncio.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            wait = min(wait * 2, 1.0)


def _words(error: Exception) -> str:
    cause = error.__cause__
    return (cause.details() or "") if isinstance(cause, grpc.aio.AioRpcError) else str(error)
