"""The one option of every benchmark."""

import argparse
import signal
import sys


def short_flag(doc: str | None) -> bool:
    """Whether --short was given. SIGTERM ends the benchmark in order from now on, so that whatever
    it started is ended, too.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="less of everything: some 30 seconds")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return bool(parser.parse_args().short)
