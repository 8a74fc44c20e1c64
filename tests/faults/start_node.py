"""`ray start` for a machine that joins a cluster on loopback.

Ray lets a node stay on 127.0.0.1 only where it also refuses a second node (see ON_LOOPBACK in
cluster/local_ray.py). The refusal is lifted here, for this command alone.
"""

import sys
from types import SimpleNamespace

from ray._private import ray_constants
from ray.scripts import scripts

vars(scripts)["ray_constants"] = SimpleNamespace(
    **{**vars(ray_constants), "ENABLE_RAY_CLUSTER": True}
)
sys.exit(scripts.cli(sys.argv[1:]))
