"""Plants one of the bugs of tests/simulation/planted.py into the actors of a real cluster.

Python imports this by itself where its folder is on PYTHONPATH.
"""

import os
import sys

if any(argument.endswith("default_worker.py") for argument in sys.orig_argv):
    import pytest

    from tests.simulation.planted import PLANTED

    PLANTED[os.environ["TQ_PLANTED_BUG"]][0](pytest.MonkeyPatch())
