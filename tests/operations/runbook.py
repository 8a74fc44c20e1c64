"""The commands of docs/operations.md, run as they stand there: only ports and names are put in."""

import os
import re
import subprocess
from pathlib import Path

import psycopg

from tests.operations.operated_queue import OperatedQueue

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = ROOT / "docs" / "operations.md"
_BLOCK = re.compile(r"^```(bash|sql)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_section(queue: OperatedQueue, title: str, worker_id: str = "default-1") -> dict[str, str]:
    """Run every command of a section, which must succeed; what each printed, by its text."""
    text = RUNBOOK.read_text()
    (section,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    printed: dict[str, str] = {}
    for kind, block in _BLOCK.findall(section):
        for command in _commands(kind, block):
            run = _run_sql if kind == "sql" else _run_shell
            printed[command] = run(queue, command.replace("{worker_id}", worker_id))
    assert printed, f"no command in the section {title}"
    return printed


def titles_with_commands() -> set[str]:
    parts = re.split(r"^## ", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0] for part in parts if _BLOCK.search(part)}


def shown(printed: dict[str, str], part: str) -> str:
    """What the one command that contains `part` printed."""
    (found,) = [output for command, output in printed.items() if part in command]
    return found


def _commands(kind: str, block: str) -> list[str]:
    mark, end = ("--", ";\n") if kind == "sql" else ("#", "\n")
    lines = [line for line in block.splitlines() if not line.startswith(mark)]
    return [command for command in "\n".join([*lines, ""]).split(end) if command.strip()]


def _run_shell(queue: OperatedQueue, command: str) -> str:
    for shipped, own in queue.ports().items():
        command = command.replace(f"localhost:{shipped}", f"127.0.0.1:{own}")
    command = re.sub("^curl ", "curl -sS -m 20 ", command)
    redis_url = queue.redis.url.replace("redis://:", "redis://default:")  # as the runbook says
    environment = {**os.environ, "REDIS_URL": redis_url, "DATABASE_URL": queue.postgres.url}
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def _run_sql(queue: OperatedQueue, statement: str) -> str:
    with psycopg.connect(queue.postgres.url) as connection:
        return "\n".join(map(str, connection.execute(statement.encode()).fetchall()))
