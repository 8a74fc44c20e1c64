"""What an operator does with a real cluster: keys, other settings while it runs, an end of it all.

One cluster for all of it; the tests run in the order in which they stand.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from actors.give_way import NICER
from task_queue.client.client import Client
from task_queue.errors import NotAuthorized, RequestRefused, TaskFailed
from tests.faults.own_cluster import OwnCluster

pytestmark = [pytest.mark.ray, pytest.mark.timeout(500)]

_KEY = "a-key-of-this-test"
_SHA256 = hashlib.sha256(_KEY.encode()).hexdigest()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnCluster]:
    made = OwnCluster(
        tmp_path_factory.mktemp("cluster"),
        http={"api_keys": [{"name": "test", "sha256": _SHA256}], "open_paths": []},
    )
    try:
        made.up()  # the API says 401 to whoever asks for its health
        yield made
    finally:
        made.end()


def test_status_without_a_key_says_what_it_needs(cluster: OwnCluster) -> None:
    done = cluster.run("status")
    assert done.returncode == 1
    assert "set TASK_QUEUE_API_KEY" in done.stderr
    assert "Traceback" not in done.stderr


def test_status_with_a_key(cluster: OwnCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK_QUEUE_API_KEY", _KEY)
    done = cluster.run("status")
    assert done.returncode == 0, done.stderr
    assert "active_count 2" in done.stdout
    assert "None" not in done.stdout


def test_executors_give_way_to_the_queue(cluster: OwnCluster) -> None:
    [scheduler] = cluster.processes("ray::SchedulerActor")
    executors, workers = (
        cluster.processes("task_queue/executor/"),
        cluster.processes("ray::WorkerA"),
    )
    assert {one.nice() for one in executors} == {min(19, scheduler.nice() + NICER)}
    # Only their loop gives way, not what Ray itself does in them.
    assert {one.nice() for one in workers} == {scheduler.nice()}


def test_only_a_port_that_wants_the_token_listens_beyond_loopback(cluster: OwnCluster) -> None:
    open_to_all = [
        process.name()
        for process in cluster.processes()
        for socket in process.net_connections(kind="tcp")
        if socket.status == psutil.CONN_LISTEN
        and socket.laddr.ip.removeprefix("::ffff:") not in ("127.0.0.1", "::1")
    ]
    assert open_to_all == ["ray::ServeReplica:task-queue:HttpApi"]


def test_haproxy_tells_nobody_of_requests_that_went_well(cluster: OwnCluster) -> None:
    """A line for each request, to a log and to a process of Serve, would cost a fifth of them."""
    [haproxy] = cluster.processes("haproxy -db")
    arguments = haproxy.cmdline()
    lines = Path(arguments[arguments.index("-f") + 1]).read_text().splitlines()
    formats = [number for number, line in enumerate(lines) if line.strip() == "option httplog"]
    assert formats  # else Serve's template has changed, and start_haproxy.sh changes nothing
    assert all(lines[number + 1].strip() == "option dontlog-normal" for number in formats)
    assert not any("format rfc5424" in line for line in lines)


def test_up_again_replaces_nothing(cluster: OwnCluster) -> None:
    before = _pids(cluster)
    cluster.up()
    assert _pids(cluster) == before


def test_changed_settings_are_in_force_after_up(cluster: OwnCluster) -> None:
    before = _pids(cluster)
    (cluster.folder / "added_tasks.py").write_text(
        "from task_queue import task\n\n\n"
        "@task(name='added.double')\ndef double(number: int) -> int:\n    return 2 * number\n\n\n"
        "@task(name='added.refuse', max_retries=0)\ndef refuse(card: str) -> None:\n"
        "    print(card)\n    raise ValueError(card)\n"
    )
    pool = {
        "task_modules": ["ledger_tasks", "added_tasks"],
        "python_path": [str(Path(__file__).parent), str(cluster.folder)],
        "min_workers": 2, "max_workers": 2, "slots": 2, "num_cpus": 0.5, "drain_seconds": 10.0,
    }  # fmt: skip
    ledger = str(cluster.folder / "ledger")
    with Client(cluster.url, api_key=_KEY, retry_seconds=60.0) as client:
        with pytest.raises(RequestRefused, match=r"added\.double"):
            client.submit("added.double", 21)
        waiting = [client.submit("ledger.write", ledger, str(n), 0.2) for n in range(20)]
        cluster.configure(pools={"default": pool}, limits={"max_argument_bytes": 1000})
        assert "replacing 2 worker(s)" in cluster.up()
        assert client.submit("added.double", 21).result(timeout=90) == 42
        assert [handle.result(timeout=90) for handle in waiting] == [str(n) for n in range(20)]
        with pytest.raises(RequestRefused, match=r"1,000 are allowed"):  # the API has the new limit
            client.submit("ledger.write", ledger, "x" * 2000, 0.0)
    assert not before & _pids(cluster)


def test_payloads_and_keys_are_in_no_log(cluster: OwnCluster) -> None:
    card, wrong_key = "4111-1111-1111-1111", "wrong-key-of-a-stranger"
    ledger = str(cluster.folder / "ledger")
    with Client(cluster.url, api_key=_KEY) as client:
        assert client.submit("ledger.write", ledger, card, 0.0).result(timeout=90) == card
        failed = client.submit("added.refuse", card)
        with pytest.raises(TaskFailed, match=card):  # who asks for the task is told
            failed.result(timeout=90)
        with pytest.raises(RequestRefused):
            client.submit("added.double", number=card)
        with pytest.raises(RequestRefused):
            client.submit("added.double", 1, idempotency_key=card * 100)
    with Client(cluster.url, api_key=wrong_key) as stranger, pytest.raises(NotAuthorized):
        stranger.task(card)
    texts = {path: path.read_bytes() for path in _logs(cluster)}
    assert any(failed.task_id.encode() in text for text in texts.values())  # these are the logs
    for path, text in texts.items():
        for secret in (card, _KEY, wrong_key):
            assert secret.encode() not in text, f"{secret} is in {path.name}"


def test_every_line_of_ours_of_serve_and_of_rays_core_is_a_json_object(cluster: OwnCluster) -> None:
    folder = Path(cluster.ray_folder) / "session_latest" / "logs"
    ours = [
        path
        for path in folder.glob("worker-*.err")
        if any(f":actor_name:{name}Actor" in path.read_text() for name in _OUR_ACTORS)
    ]
    assert len(ours) > len(_OUR_ACTORS)
    serve = [path for path in folder.glob("serve/controller_*.log") if path.stat().st_size]
    core = [folder / "raylet.out", folder / "gcs_server.out", *folder.glob("python-core-worker-*")]
    assert serve
    assert len(core) > len(ours)
    for path in (*ours, *serve, *core):
        *lines, _ = path.read_text(errors="replace").split("\n")  # the last one may be half-written
        for line in lines:
            if not line.startswith((":job_id:", ":actor_name:")):
                assert isinstance(json.loads(line), dict), path.name


_OUR_ACTORS = ("Scheduler", "Worker", "Supervisor")


def _logs(cluster: OwnCluster) -> list[Path]:
    """All that was written below Ray's folder for logs, and ours."""
    folders = [Path(cluster.ray_folder), cluster.folder / ".task-queue"]
    found = [path for folder in folders for path in folder.glob("**/*.*") if path.is_file()]
    return [path for path in found if path.suffix in (".log", ".out", ".err", ".json", ".txt")]


def test_what_a_running_queue_cannot_take_over_is_refused(cluster: OwnCluster) -> None:
    before = _pids(cluster)
    cluster.configure(ray={"num_cpus": 3})
    done = cluster.run("up")
    cluster.configure(ray={"num_cpus": 4})
    assert done.returncode == 2
    assert "ray.num_cpus: changed" in done.stderr
    assert "'down', then 'up'" in done.stderr
    assert _pids(cluster) == before


def test_down_leaves_no_process(cluster: OwnCluster) -> None:
    processes = cluster.processes()
    assert {"ray::DashboardAgent", "ray::RuntimeEnvAgent"} <= {p.name() for p in processes}
    done = cluster.run("down")
    assert done.returncode == 0
    assert "INFO" not in done.stdout + done.stderr
    assert [p for p in processes if _lives(p)] == []


def _lives(process: psutil.Process) -> bool:
    """Not if it only waits for whoever has to take note of its end, which is not the queue's."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _pids(cluster: OwnCluster) -> set[int]:
    """Of all that has the settings of the queue."""
    titles = ("ray::WorkerActor", "ray::SchedulerActor", "ray::SupervisorActor",
              "ray::ServeReplica")  # fmt: skip
    return {process.pid for title in titles for process in cluster.processes(title)}
