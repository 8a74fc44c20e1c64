#!/bin/sh
# check_python.sh PYTHON: says in one line what is wrong with a Python that cannot run the queue.
set -eu

python=$1
cure="give one that can: make PYTHON=/path/to/python3.12 ..."

if ! command -v "$python" >/dev/null; then
    echo "There is no '$python', and Python 3.11 or newer is needed: $cure" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or newer is needed, and '$python' is $("$python" -V 2>&1): $cure" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "'$python' cannot make virtual environments: apt-get install python3-venv, or $cure" >&2
    exit 1
fi
