"""Can be imported unless the file named by BROKEN_IF exists."""

import os
from pathlib import Path

if Path(os.environ["BROKEN_IF"]).exists():
    raise ImportError("broken for now")
