"""Commits that are under way while the event loop goes on, on a real server."""

import asyncio
from collections.abc import Callable, Iterator

import psycopg
import pytest
import uvloop

from benchmarks.peers.private_postgres import PrivatePostgres
from task_queue.core.effects import Changes
from task_queue.core.status import Status
from task_queue.store.postgres import PostgresStore
from task_queue.store.protocol import StaleEpoch, StoreError
from tests.store.databases import NOW, NewPostgres, a_task, inserted

pytestmark = pytest.mark.anyio

_MUCH = 20_000_000  #: bytes: more than both ends' buffers hold


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    return "asyncio", {"loop_factory": request.param}


@pytest.fixture
def url(new_postgres: NewPostgres) -> str:
    return new_postgres()


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    made = PostgresStore(url)
    made.take_over()
    yield made
    made.close()


async def test_a_commit_lands_while_the_loop_goes_on(store: PostgresStore) -> None:
    for seq in range(1, 20):
        done = store.begin_commit(inserted(a_task(seq)))
        assert not done.done()
        await done
    assert [task.seq for task in store.load().tasks] == list(range(1, 20))


async def test_a_commit_larger_than_all_buffers_lands(store: PostgresStore) -> None:
    tasks = [a_task(seq, arguments=b"x" * (_MUCH // 10)) for seq in range(1, 11)]
    await store.begin_commit(inserted(*tasks))
    store.commit(inserted(a_task(11, arguments=b"y" * _MUCH)))
    assert [len(task.spec.arguments) for task in store.load().tasks] == [_MUCH // 10] * 10 + [_MUCH]


async def test_nothing_is_saved_beside_it_but_another_after_it(store: PostgresStore) -> None:
    later = inserted(a_task(2))
    first, second = store.begin_commit(inserted(a_task(1))), store.begin_commit(later)
    later.inserted.append(a_task(3))  # too late
    with pytest.raises(StoreError, match="under way"):
        store.commit(inserted(a_task(4)))
    await second
    assert first.done()
    await store.begin_commit(inserted(a_task(5)))
    assert [task.seq for task in store.load().tasks] == [1, 2, 5]


async def test_if_one_fails_those_behind_it_are_not_saved_either(store: PostgresStore) -> None:
    begun = [
        store.begin_commit(inserted(*tasks))
        for tasks in ([a_task(1)], [a_task(2), a_task(2)], [a_task(3)], [a_task(4)])
    ]
    outcomes = await asyncio.gather(*begun, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), *[StoreError] * 3]
    assert [task.seq for task in store.load().tasks] == [1]
    await store.begin_commit(inserted(a_task(3)))
    assert [task.seq for task in store.load().tasks] == [1, 3]


async def test_claims_that_were_not_saved_are_forgotten(store: PostgresStore) -> None:
    task, other = a_task(1), a_task(2)
    store.commit(inserted(task, other))
    claimed = a_task(1, Status.RUNNING, attempt=1, worker_id="w", claimed_at=NOW, id=task.spec.id)
    changes = inserted(a_task(3, id=other.spec.id))
    changes.touched, changes.leased = {1: claimed}, {1: claimed}
    begun = [store.begin_commit(changes), store.begin_commit(inserted(a_task(4)))]
    assert [type(o) for o in await asyncio.gather(*begun, return_exceptions=True)] == [
        StoreError,
        StoreError,
    ]
    over = a_task(1, Status.COMPLETED, attempt=1, id=task.spec.id)
    await store.begin_commit(Changes(touched={1: over}))
    assert store.load().tasks == [other]


async def test_one_that_fails_saves_nothing_and_the_next_one_works(store: PostgresStore) -> None:
    twice = inserted(a_task(1), a_task(2), a_task(2))
    with pytest.raises(StoreError, match="duplicate key"):
        await store.begin_commit(twice)
    with pytest.raises(StoreError, match="duplicate key"):
        store.commit(twice)
    assert store.load().tasks == []
    await store.begin_commit(inserted(a_task(1)))
    store.commit(inserted(a_task(2)))
    assert [task.seq for task in store.load().tasks] == [1, 2]


async def test_a_statement_that_only_the_failed_one_had_is_prepared_again(
    store: PostgresStore, url: str
) -> None:
    paused = Changes(queues={"q": True})
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("ALTER TABLE queues ADD CHECK (queue <> 'q')")
        with pytest.raises(StoreError, match="check"):
            await store.begin_commit(paused)
        other.execute("ALTER TABLE queues DROP CONSTRAINT queues_queue_check")
    await store.begin_commit(paused)
    assert store.load().paused_queues == ["q"]


async def test_a_writer_that_was_replaced_meanwhile_is_refused(
    store: PostgresStore, url: str
) -> None:
    newer = PostgresStore(url)
    newer.take_over()
    with pytest.raises(StaleEpoch):
        await store.begin_commit(inserted(a_task(1)))
    assert newer.load().tasks == []
    newer.close()


async def test_a_server_that_is_killed_meanwhile_fails_it(
    start_postgres: Callable[[], PrivatePostgres],
) -> None:
    server = start_postgres()
    store = PostgresStore(server.url)
    store.take_over()
    other = psycopg.connect(server.url)
    other.execute("LOCK TABLE tasks IN EXCLUSIVE MODE")
    done = store.begin_commit(inserted(a_task(1)))
    await asyncio.sleep(0)
    assert not done.done()
    await asyncio.to_thread(server.kill)
    async with asyncio.timeout(30):
        with pytest.raises(StoreError):
            await done
    other.close()
    for commit in (store.commit, store.begin_commit):
        with pytest.raises(StoreError):
            commit(inserted(a_task(2)))
    with pytest.raises(StoreError):
        store.check_writable()
    store.close()
    server.start()
    again = PostgresStore(server.url)
    again.take_over()
    assert again.load().tasks == []
    again.close()


@pytest.mark.parametrize("breaks", ["_go_on", "_watch", "_send"])
async def test_an_error_that_nobody_foresaw_is_told_and_ends_the_connection(
    store: PostgresStore, url: str, monkeypatch: pytest.MonkeyPatch, breaks: str
) -> None:
    """An answer to what was given up must not be taken for that to a later commit."""

    def fault(*_: object) -> bool:
        raise RuntimeError("a fault of ours")

    begun = [store.begin_commit(inserted(a_task(seq))) for seq in (1, 2, 3)]
    with monkeypatch.context() as patch:
        patch.setattr(store._pipeline, breaks, fault)
        if breaks == "_watch":  # it is called if a result has come in part
            patch.setattr(store._pipeline, "_go_on", lambda: False)
        outcomes = await asyncio.gather(*begun, return_exceptions=True)
    failed = [outcome for outcome in outcomes if outcome is not None]
    assert len(failed) == (2 if breaks == "_send" else 3)  # the first one had been sent
    assert {type(outcome) for outcome in failed} == {StoreError}
    assert "a fault of ours" in str(failed[0])
    with pytest.raises(StoreError):
        store.check_writable()
    again = PostgresStore(url)
    again.take_over()
    await again.begin_commit(inserted(a_task(4)))
    assert {4} <= {task.seq for task in again.load().tasks} <= {1, 4}
    again.close()


async def test_whoever_waits_is_told_that_the_store_was_closed(
    store: PostgresStore, url: str
) -> None:
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE tasks IN EXCLUSIVE MODE")
        done = store.begin_commit(inserted(a_task(1, Status.QUEUED, submitted_at=NOW)))
        store.close()
        with pytest.raises(StoreError, match="closed"):
            await done
