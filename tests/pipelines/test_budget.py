"""A process that works too long on one batch ends; one that others keep waiting does not."""

import signal
import subprocess
import sys

import pytest


def spend(seconds, code):
    """How a process ends that does something within a budget, and what it says."""
    lines = "import re, time\nfrom pipelines.worker import Budget\n"
    lines += f"with Budget({seconds}):\n    {code}\n"
    ended = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize(
    "code", ["while True: pass", "re.match('(a*)*b', 'a' * 100)"], ids=["python", "native"]
)
def test_too_much_cpu_ends_the_process_and_says_where(code):
    returned, said = spend(0.2, code)
    assert returned == -signal.SIGPROF
    assert 'File "<string>", line 4' in said


def test_waiting_for_ever_ends_the_process_and_says_where():
    returned, said = spend(0.05, "time.sleep(60)")
    assert returned == 1
    assert 'File "<string>", line 4' in said


def test_waiting_for_the_processor_is_not_held_against_a_document():
    assert spend(0.2, "time.sleep(0.5)") == (0, "")


def test_a_budget_is_for_one_batch():
    lines = "end = time.process_time() + 0.3\n    while time.process_time() < end: pass"
    assert spend(0.2, lines)[0] == -signal.SIGPROF
    each = "pass\nfor _ in range(3):\n  with Budget(0.2):\n    end = time.process_time() + 0.1\n"
    each += "    while time.process_time() < end: pass"
    assert spend(0.2, each) == (0, "")
