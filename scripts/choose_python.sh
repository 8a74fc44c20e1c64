#!/bin/sh
# choose_python.sh: prints the Python that .venv is made with, if PYTHON does not say.
#
# The system's own, if it will do: distributions compile it with profile-guided optimization, and
# tools that compile a Python on the spot (pyenv, for one) leave that out by default. A task costs a
# tenth less processor time with it; see docs/performance.md.
set -eu

system=/usr/bin/python3
if "$(dirname "$0")/check_python.sh" "$system" 2>/dev/null; then
    echo "$system"
else
    echo python3
fi
