"""A SIGTERM ends what an actor has started, not the actor."""

import subprocess
import sys

_STORY = """
import os, signal, subprocess
from actors.outlive_sigterm import outlive_sigterm

outlive_sigterm()
child = subprocess.Popen(["sleep", "60"])
os.kill(os.getpid(), signal.SIGTERM)
child.terminate()
print(child.wait(timeout=30))
"""


def test_the_actor_lives_on_and_its_children_do_not_inherit_that() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _STORY], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "-15"), done.stderr
