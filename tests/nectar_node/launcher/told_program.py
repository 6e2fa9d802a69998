"""A program for a fork server: says on standard output what it has of its starter, and ends as its input says."""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import sys
from pathlib import Path


def main() -> int:
    """Write one line of JSON; then wait for input: an exit code, or minus a signal, or "hang" and "raise"."""
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    parser.add_argument("--given", type=int)
    words = parser.parse_args()
    if words.given is not None:
        os.write(words.given, b"given")
    listed = os.listdir("/proc/self/fd")  # with the one that lists them
    descriptors = {each: os.readlink(path) for each in listed if os.path.lexists(path := f"/proc/self/fd/{each}")}
    told = {
        "words": words.words,
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "session": os.getsid(0),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "command": Path("/proc/self/cmdline").read_text().rstrip("\0").split("\0"),
        "descriptors": descriptors,
        "random": random.random(),
    }
    print(json.dumps(told))
    how = sys.stdin.read()
    if how == "hang":
        signal.pause()
    elif how == "raise":
        raise ValueError("as told")
    elif int(how) < 0:
        os.kill(os.getpid(), -int(how))
    return int(how)
