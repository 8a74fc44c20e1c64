"""The supervisor's process ends when its one call does: then Ray makes it anew."""

import subprocess
import sys

_STORY = """
from cluster.supervisor_actor import SupervisorActor

actor = object.__new__(SupervisorActor)
actor._settings_json, actor._generation = b"no settings", ""
actor.start()
print("it goes on")
"""


def test_a_supervisor_that_cannot_go_on_says_why_and_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _STORY], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "supervisor_ended" in said and "no settings" in said
    assert "it goes on" not in said
