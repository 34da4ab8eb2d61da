"""The collector looks away where told, and is as before behind it."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from unify.garbage import young_only


def test_the_collector_is_off_within_and_as_before_behind() -> None:
    assert gc.isenabled()
    with pytest.raises(KeyError), young_only():
        with young_only():
            assert not gc.isenabled()
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


def test_a_process_of_ours_never_searches_what_lasts() -> None:
    code = (
        "import atexit, gc\n"
        "from unify.garbage import lasting, own_process\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 1000))\n"
        "with lasting(): pass\n"
        "print(gc.get_freeze_count())\n"
        "own_process()\n"
        "with lasting(): made = [[i] for i in range(2000)]\n"
        "print(gc.get_freeze_count() > 2000)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True", "True"]
