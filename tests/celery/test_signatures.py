"""Signatures, launch styles, links, error callbacks and the primitives, on a real worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from celery import chain, chord, group
from celery.result import AsyncResult, GroupResult

from app.db.session import dispose
from app.engines import broker
from tests.celery.conftest import Clinic, value
from tests.waiting import until
from workers.celery_app import app
from workers.pipelines.doctor_stats import count_patients_doctor
from workers.tasks import child

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("celery")]


@pytest.fixture(autouse=True)
async def worker_app(clinic: Clinic) -> AsyncIterator[None]:
    """The tasks' own application sends to the shared worker too."""
    broker.configured(app)
    yield
    for one in (app, broker.client()):
        one.backend.result_consumer.stop()
        one.close()
    await asyncio.to_thread(child.run, dispose())


def sig(name: str, *args: Any, **options: Any) -> Any:
    return broker.client().signature(name, args=args, **options)


async def got(result: AsyncResult | GroupResult) -> Any:
    """The result, asked for again and again: Celery's own waiting belongs to one thread."""

    async def ready() -> bool:
        return bool(result.ready())

    await until(ready)
    return [one.get() for one in result.results] if isinstance(result, GroupResult) else result.get()


async def test_a_pipeline_is_built_from_a_list_of_signature_names() -> None:
    names = ["list_all_login", "count_login"]
    found = await got(chain(*(sig(name) for name in names)).apply_async())
    assert found == {"count": await value("select count(*) from login")}


async def test_a_task_starts_by_delay_by_apply_async_and_by_a_call() -> None:
    assert await got(count_patients_doctor.delay("HSP-200")) == 2
    assert await got(count_patients_doctor.apply_async(("HSP-200",))) == 2
    assert await asyncio.to_thread(count_patients_doctor, "HSP-200") == 2


async def test_both_forms_of_a_signature_run_the_same_task() -> None:
    assert await got(count_patients_doctor.signature(("HSP-200",)).apply_async()) == 2
    assert await got(count_patients_doctor.s("HSP-200").apply_async()) == 2


async def test_a_success_callback_gets_the_result_and_has_options_of_its_own() -> None:
    linked = sig("count_login").set(expires=300)
    first = sig("list_all_login").apply_async(link=linked)
    sql = "select result->>'count' from pipeline_step where run_id = :id and task = 'count_login' and state = 'done'"
    counted = await until(lambda: value(sql, id=UUID(first.id)))
    assert int(counted) == await value("select count(*) from login")


async def test_an_error_callback_runs_when_the_task_fails_and_only_then() -> None:
    back = sig("count_login", [1, 2, 3], immutable=True)
    broken = sig("count_patients_doctor", "NOBODY").apply_async(link_error=back)
    sql = "select result->>'count' from pipeline_step where run_id = :id and task = 'count_login' and state = 'done'"
    assert await until(lambda: value(sql, id=UUID(broken.id))) == "3"
    fine = sig("count_patients_doctor", "HSP-200").apply_async(link_error=back)
    assert await got(fine) == 2
    assert await value(sql, id=UUID(fine.id)) is None


async def test_a_chain_hands_each_result_to_the_next_task() -> None:
    found = await got((sig("list_all_login") | sig("count_login")).apply_async())
    assert found["count"] > 0


async def test_a_group_gives_every_result_in_its_order() -> None:
    both = group(sig("count_patients_doctor", "HSP-200"), sig("count_patients_doctor", "HSP-205")).apply_async()
    assert await got(both) == [2, 1]


async def test_a_chord_runs_its_body_with_the_results_of_the_header_in_order() -> None:
    header = [sig("count_patients_doctor", "HSP-200"), sig("count_request_doctor", "HSP-210")]
    found = await got(chord(header)(sig("create_doctor_stats", "HSP-200")))
    assert (found["patients"], found["requests"]) == (2, 0)


async def test_results_are_json_and_a_pickled_message_is_never_run() -> None:
    before = await value("select count(*) from pipeline_step where task = 'count_login'")
    broker.client().send_task("count_login", [[1]], serializer="pickle")
    after = await got(sig("count_patients_doctor", "HSP-200").apply_async())
    assert after == 2
    assert await value("select count(*) from pipeline_step where task = 'count_login'") == before
    assert set(broker.client().conf.accept_content) == {"json"}


async def test_the_same_delivery_twice_is_one_effect_and_one_result() -> None:
    """The message of a step that is done is given out again: its saved result comes back, its body does not run."""
    first = sig("count_request_doctor", "HSP-212").apply_async()
    assert await got(first) == 0
    began = await value("select attempts from pipeline_step where step = :id", id=first.id)
    again = sig("count_request_doctor", "HSP-212").apply_async(task_id=first.id)
    assert await got(again) == 0
    assert await value("select attempts from pipeline_step where step = :id", id=first.id) == began == 1
