"""What is kept of the catalogue between submits, and for how long."""

from typing import Any

import pytest
from msgspec.structs import replace

from serve_app.catalogue_source import CatalogueSource
from serve_app.destinations import Destination, Destinations
from serve_app.readers import Readers
from task_queue.store.memory import MemoryStore
from task_queue.store.query import Pool
from task_queue.testing import FakeClock
from tests.serve_app.api_world import POOLS, TASKS, TYPES, Between, World
from tests.serve_app.conftest import MakeWorld

pytestmark = pytest.mark.anyio


class CountingStore(MemoryStore):
    """Counts how often the catalogue is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def pools(self) -> list[Pool]:
        self.reads += 1
        return super().pools()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> CountingStore:
    store = CountingStore()
    store.take_over()
    store.declare(POOLS, TYPES)
    return store


@pytest.fixture
def destinations(store: CountingStore, clock: FakeClock) -> Destinations:
    return Destinations(CatalogueSource(Readers(lambda: store, clock, remote=False), clock))


def good(found: Any) -> Destination:
    assert isinstance(found, Destination)
    assert found.complaints == []
    return found


@pytest.mark.parametrize("queue", ["my mail", "*", "mail\n", "a\x00"])
@pytest.mark.parametrize("path", ["/api/v1/tasks", "/api/v1/schedules"])
async def test_a_name_that_no_queue_can_have_is_refused(
    world: World, path: str, queue: str
) -> None:
    task = {"name": "shop.thumbnail", "args": ["cat.png"], "queue": queue}
    body = task if path.endswith("tasks") else {"task": task, "interval_seconds": 60}
    answer = await world.http.post(path, json=body)
    assert answer.status_code == 422, answer.text
    assert "cannot name a queue: begin with a letter" in answer.text


class TestKept:
    async def test_for_two_seconds(
        self, destinations: Destinations, store: CountingStore, clock: FakeClock
    ) -> None:
        first = good(await destinations.find("shop.thumbnail", None))
        await destinations.refresh()
        assert await destinations.find("shop.thumbnail", None) is first
        store.declare(POOLS, [replace(TYPES[0], doc="new")])
        clock.advance(2.0)
        await destinations.refresh()
        assert good(await destinations.find("shop.thumbnail", None)).task_type.doc == "new"
        assert store.reads == 2

    async def test_until_an_unknown_name_has_the_catalogue_read(
        self, destinations: Destinations, store: CountingStore
    ) -> None:
        good(await destinations.find("shop.thumbnail", None))
        store.declare([], TYPES)
        assert not isinstance(await destinations.find("shop.nothing", None), Destination)
        await destinations.refresh()
        found = await destinations.find("shop.thumbnail", None)
        assert isinstance(found, Destination)
        assert [complaint.field for complaint in found.complaints] == ["queue"]

    async def test_a_fault_is_not(self, destinations: Destinations, store: CountingStore) -> None:
        found = await destinations.find("shop.add", "fresh")
        assert isinstance(found, Destination)
        assert found.complaints != []
        store.declare([*POOLS, Pool("new", ("fresh",), ("shop.add",))], TYPES)
        good(await destinations.find("shop.add", "fresh"))

    async def test_by_queue_as_well_as_by_name(self, destinations: Destinations) -> None:
        own, other = await destinations.find("shop.thumbnail", None), "default"
        assert good(own).queue == "images"
        assert good(await destinations.find("shop.thumbnail", other)).queue == other

    async def test_made_up_queues_are_dropped(
        self, destinations: Destinations, store: CountingStore
    ) -> None:
        store.declare([Pool("any", ("*",), ("shop.add",))], TYPES)
        first = good(await destinations.find("shop.add", "0"))
        for number in range(1, 10_000):
            good(await destinations.find("shop.add", str(number)))
        await destinations.refresh()
        assert await destinations.find("shop.add", "0") is not first


async def test_every_field_of_a_spec_is_in_its_place(world: World) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"X-Request-ID": "req-7", "traceparent": trace}
    wanted = {
        "name": "shop.add", "args": [1, 2], "queue": "images", "priority": 7, "max_retries": 4,
        "timeout_seconds": 9.5, "delay_seconds": 60, "expires_at": "2023-11-15T00:00:00Z",
        "idempotency_key": "key", "tags": ["a", "b"],
    }  # fmt: skip
    answer = await world.http.post(TASKS, json=wanted, headers=headers)
    task_id = answer.json()["task_id"]
    task = world.store.get(task_id)
    assert task is not None
    spec, options = task.spec, TYPES[1].options
    assert {name: getattr(spec, name) for name in spec.__struct_fields__} == {
        "id": task_id, "name": "shop.add", "queue": "images", "priority": 7,
        "arguments": b'{"args":[1,2],"kwargs":{}}', "max_retries": 4,
        "retry_base_seconds": options.retry_base_seconds,
        "retry_cap_seconds": options.retry_cap_seconds, "timeout_seconds": 9.5,
        "run_at": world.clock.now() + 60, "expires_at": 1_700_006_400.0,
        "result_ttl_seconds": 60.0, "idempotency_key": "key", "tags": ("a", "b"),
        "traceparent": trace, "request_id": "req-7",
    }  # fmt: skip


async def test_a_batch_reads_clock_and_catalogue_by_the_stretch(make_world: MakeWorld) -> None:
    class Counting(Between):
        reads = 0

        def pools(self) -> Any:
            Counting.reads += 1
            return self.real.pools()

    world = await make_world(reader=Counting)
    tasks = {"tasks": [{"name": "shop.collect"}] * 2_000}
    answer = await world.http.post(f"{TASKS}/batch", json=tasks)
    assert len(set(answer.json()["task_ids"])) == 2_000
    assert Counting.reads == 1
