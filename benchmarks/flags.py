"""The options of a benchmark: --short, and what is its own."""

import argparse
import signal
import sys


def flags(
    doc: str | None, numbers: dict[str, float] | None = None, **own: str
) -> argparse.Namespace:
    """What was asked for. SIGTERM ends the benchmark in order from now on, so that whatever it
    started is ended, too.

    Args:
        doc: of the program, for --help.
        numbers: options that take a number, and what each is if it is not given.
        own: further flags, and what each does.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="less of everything: some 30 seconds")
    for name, what in own.items():
        parser.add_argument(f"--{name}", action="store_true", help=what)
    for name, default in (numbers or {}).items():
        parser.add_argument(
            f"--{name}", type=float, default=default, help=f"{default:g} if not given"
        )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return parser.parse_args()
