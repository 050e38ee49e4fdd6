"""The outbox and its relay: asked for with the cause, sent soon, sent by whoever is there, never lost."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.core.actor import Actor
from app.core.errors import Forbidden, NotFound
from app.db.session import reading, transaction
from app.engines import outbox
from app.engines.relay import BEHIND, GROUPED, LONGEST_BACK_OFF, claim, delay
from tests.conftest import as_owner
from tests.engines.conftest import (
    NEVER,
    OFTEN,
    Post,
    all_sent,
    ask_for_mail,
    listening,
    message_ids,
    relay,
    states,
    value,
)
from tests.waiting import SECONDS, until
from workers.relay import places


async def arrived(post: Post, count: int) -> None:
    async with asyncio.timeout(SECONDS):
        while len(post.got) < count:  # noqa: ASYNC110 - Post has no event per mail
            await asyncio.sleep(0.005)


async def ears() -> set[int]:
    """The backends of this database that listen for effects."""
    sql = "select pid from pg_stat_activity where datname = current_database() and query ilike 'listen%'"
    async with reading() as session:
        found = await session.execute(text(sql))
        return set(found.scalars())


async def dead() -> bool:
    return "dead" in (await states()).values()


async def test_an_effect_of_a_transaction_that_fails_was_never_asked_for(database_url: str) -> None:
    async def ask_and_fail() -> None:
        async with transaction() as session:
            await outbox.enqueue(session, "mail", "lost", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ask_and_fail()
    assert await states() == {}


async def test_asking_twice_is_asking_once(database_url: str) -> None:
    assert [await ask_for_mail("same"), await ask_for_mail("same")] == [True, False]
    assert await states() == {"same": "pending"}


async def test_a_commit_wakes_the_relay_and_the_mail_leaves_within_a_fifth_of_a_second(ops: Actor, post: Post) -> None:
    """One that met a free processor: the others tell about the machine."""
    numbers = itertools.count(1)

    async def soon() -> bool:
        number = next(numbers)
        async with transaction() as session:
            given = {"to_login": ["ops"], "subject": str(number), "text": "Hello."}
            await outbox.enqueue(session, "mail", str(number), given)
        began = time.monotonic()
        await arrived(post, number)
        return time.monotonic() - began < 0.2

    with relay(NEVER):  # what arrives now arrives by NOTIFY: the next poll is an hour away
        await listening()
        await until(soon)
        await until(all_sent)
    assert set(post.got) == await message_ids()


async def test_without_a_notification_polling_carries_on(ops: Actor, post: Post) -> None:
    await as_owner("drop trigger outbox_notify on outbox")
    with relay(OFTEN):
        await listening()
        await ask_for_mail("unnoticed")
        await until(all_sent)


async def test_a_relay_whose_connections_are_cut_comes_back_by_itself(ops: Actor, post: Post) -> None:
    with relay(NEVER) as process:
        await listening()
        before = await ears()
        async with transaction() as session:
            await session.execute(
                text("""select pg_terminate_backend(pid) from pg_stat_activity
                        where datname = current_database() and usename = current_user and pid <> pg_backend_pid()""")
            )
        await ask_for_mail("in between")
        await until(all_sent)

        async def anew() -> bool:
            return bool(after := await ears()) and not after & before

        await until(anew)
        await ask_for_mail("afterwards")
        await until(all_sent)
        assert process.poll() is None


async def test_a_refusal_for_now_is_tried_again_under_the_same_id(ops: Actor, post: Post) -> None:
    post.answers = ["451 busy", "421 busier"]
    with relay():
        await ask_for_mail("stubborn")
        await until(all_sent)
    assert set(post.got) == await message_ids()
    assert await value("select attempts from outbox") == 3


async def test_what_is_refused_too_often_is_parked_as_an_incident(ops: Actor, post: Post) -> None:
    post.usual = "451 busy"
    with relay(OFTEN | {"DAMS_RELAY__MAX_ATTEMPTS": "2"}):
        await ask_for_mail("hopeless")
        await until(dead)
    assert await value("select attempts from outbox") == 2
    assert "451" in await value("select message from incident where code = 'dead-letter' and resolved_at is null")


async def test_what_nothing_sends_is_parked_and_holds_up_nobody(ops: Actor, post: Post) -> None:
    async with transaction() as session:
        await outbox.enqueue(session, "pigeon", "1", {})
    with relay():
        await ask_for_mail("behind it")
        await arrived(post, 1)
        await until(dead)
    assert await value("select last_error from outbox where kind = 'pigeon'") == "nothing sends 'pigeon'"


async def test_ops_send_a_parked_effect_again_and_its_incident_closes(ops: Actor, post: Post) -> None:
    post.answers = ["550 no such box"]
    with relay(NEVER):
        await listening()
        await ask_for_mail("returned")
        await until(dead)
        found = await value("select id from outbox")
        async with transaction() as session:
            await outbox.retry_dead(session, ops, found)
        await until(all_sent)
    assert post.got == [f"<{found}@dams>"]
    assert await value("select count(*) from incident where resolved_at is null") == 0
    assert await value("select actor_id from case_event where kind = 'outbox.retried'") == ops.id


async def test_only_ops_may_and_only_what_is_parked_can_be_sent_again(ops: Actor, staff: Actor) -> None:
    await ask_for_mail("pending")
    found = await value("select id from outbox")
    for who, which, refusal in ((staff, found, Forbidden), (ops, found, NotFound), (ops, uuid4(), NotFound)):
        with pytest.raises(refusal):
            async with transaction() as session:
                await outbox.retry_dead(session, who, which)


async def test_several_relays_share_the_work_and_each_mail_leaves_once(ops: Actor, post: Post) -> None:
    async with transaction() as session:
        for number in range(60):
            payload = {"to_login": ["ops"], "subject": str(number), "text": ""}
            await outbox.enqueue(session, "mail", str(number), payload)
    post.open.clear()
    one_in_hand = OFTEN | {"DAMS_RELAY__BATCH": "1"}
    with relay(one_in_hand), relay(one_in_hand), relay(one_in_hand):
        await arrived(post, 3)  # one of each process: none has two in hand
        post.open.set()
        await until(all_sent)
    assert post.most_at_once == 3
    assert (len(post.got), set(post.got)) == (60, await message_ids())


async def test_what_a_killed_relay_had_in_hand_another_one_sends_under_the_same_id(ops: Actor, post: Post) -> None:
    for number in range(3):
        await ask_for_mail(str(number))
    post.open.clear()
    with relay() as killed:
        await arrived(post, 3)
        killed.kill()
        killed.wait()
    post.open.set()
    async with transaction() as session:  # its lease is over
        await session.execute(text("update outbox set next_at = now()"))
    with relay():
        await until(all_sent)
    assert (len(post.got), set(post.got)) == (6, await message_ids())


async def test_what_a_dead_relay_had_in_hand_is_free_when_its_lease_ends(ops: Actor, post: Post) -> None:
    await ask_for_mail("held")
    post.open.clear()
    lease = OFTEN | {"DAMS_RELAY__LEASE_SECONDS": "2"}
    with relay(lease) as killed:
        await arrived(post, 1)
        killed.kill()
        killed.wait()
    post.open.set()
    with relay(lease):
        await until(all_sent)


async def test_a_receiver_that_hangs_does_not_hold_up_the_others(ops: Actor, post: Post) -> None:
    with relay(NEVER):
        await listening()
        post.open.clear()
        await ask_for_mail("hanging")
        await arrived(post, 1)
        await ask_for_mail("passing")
        await arrived(post, 2)
        post.open.set()
        await until(all_sent)


async def test_mails_that_hang_hold_up_nothing_else(ops: Actor, post: Post) -> None:
    post.open.clear()
    with relay(NEVER | {"DAMS_RELAY__BATCH": "8"}):
        await listening()
        for number in range(5):
            await ask_for_mail(str(number))
        await arrived(post, 2)
        async with transaction() as session:
            await outbox.enqueue(session, "bpmn-signal", "passing", {"name": "nobody", "payload": {}})
        await until_sent("passing")
        assert post.most_at_once == 2
        post.open.set()
        await until(all_sent)
    assert len(set(post.got)) == len(post.got) == 5


KINDS = st.sampled_from(["a", "b", "c", *BEHIND, *GROUPED])


@given(st.dictionaries(KINDS, st.integers(1, 8), max_size=5), st.integers(1, 40))
def test_no_kind_gets_more_than_its_share_and_none_is_left_out(held: dict[str, int], batch: int) -> None:
    free, share = places(held, batch), max(batch // 4, 1)
    others = {kind: number for kind, number in held.items() if kind not in (*BEHIND, *GROUPED)}
    assert all(number + free.first <= max(share, number) for kind, number in others.items() if kind not in free.full)
    assert sum(others.values()) + free.first <= max(batch, sum(others.values()))
    assert held.get("mail", 0) + free.behind <= max(share, held.get("mail", 0))
    assert sum(held.get(kind, 0) for kind in GROUPED) + free.grouped == max(batch, sum(held.get(k, 0) for k in GROUPED))
    assert places({}, batch) == (share, [], share, batch)  # what is empty takes of each kind


async def test_what_leaves_together_is_claimed_beside_the_rest(database_url: str) -> None:
    async with transaction() as session:
        for number in range(6):
            await outbox.enqueue(session, GROUPED[0], f"g{number}", {})
            await outbox.enqueue(session, "other", f"o{number}", {})
    taken = await claim(1, behind=0, grouped=4)
    assert Counter(effect.kind for effect in taken) == {GROUPED[0]: 4, "other": 1}
    assert Counter(effect.kind for effect in await claim(0, grouped=4)) == {GROUPED[0]: 2}
    assert len(await claim(10)) == 5


async def test_a_relay_told_to_stop_finishes_what_it_has_in_hand(ops: Actor, post: Post) -> None:
    with relay() as process:
        post.open.clear()
        await ask_for_mail("last")
        await arrived(post, 1)
        process.terminate()
        post.open.set()
        assert await asyncio.to_thread(process.wait, 120) == 0
    assert await all_sent()


async def test_a_relay_signs_its_life_and_signs_off(database_url: str) -> None:
    async def beats() -> bool:
        return await value("select count(*) from worker_heartbeat where kind = 'relay'") == 1

    with relay() as process:
        await until(beats)
        assert await value("select pid from worker_heartbeat") == process.pid
        process.terminate()
        await asyncio.to_thread(process.wait, 120)
        assert not await beats()


@given(st.integers(1, 200))
def test_the_pause_doubles_up_to_ten_minutes(attempts: int) -> None:
    planned = min(0.5 * 2 ** (attempts - 1), LONGEST_BACK_OFF)
    assert 0.66 * planned < delay(attempts) < 1.34 * planned


async def test_a_mail_that_waits_its_turn_is_not_tried_before_it(ops: Actor, post: Post) -> None:
    async with transaction() as session:
        await outbox.enqueue(session, "mail", "later", {"to_login": ["ops"], "subject": "", "text": ""})
        await session.execute(text("update outbox set next_at = now() + interval '1 hour'"))
    with relay():
        await ask_for_mail("now")
        await arrived(post, 1)
        await until_sent("now")
    async with reading() as session:
        assert (await session.execute(text("select attempts from outbox where key = 'later'"))).scalar() == 0


async def until_sent(key: str) -> None:
    async def sent() -> bool:
        return (await states())[key] == "sent"

    await until(sent)
