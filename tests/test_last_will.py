"""Nothing that the tests start outlives them, even when they are killed themselves."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from .support.processes import is_running, wait_until

ROOT = Path(__file__).resolve().parents[1]
KILLED_TEST_RUN = """
import os, subprocess, sys
from pathlib import Path
from tests.support.processes import LastWill
child = subprocess.Popen(["sleep", "60"], start_new_session=True, stdout=subprocess.DEVNULL)
LastWill(child.pid, Path(sys.argv[1]))
print(child.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_killed_test_run_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "with a space"
    folder.mkdir()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_TEST_RUN, str(folder)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    wait_until(lambda: not is_running(int(killed.stdout)), seconds=10, what="the child is ended")
    wait_until(lambda: not folder.exists(), seconds=10, what="its folder is removed")
