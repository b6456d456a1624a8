"""`python -m charger_mgmt.simulate`: the fleet; starts anew under gevent's patching if need be."""

import os
import sys

from gevent import monkey

from .cli import PATCHED_MODULE, run_here

if not monkey.is_module_patched("socket"):
    os.execv(sys.executable, [sys.executable, *PATCHED_MODULE, *sys.argv[1:]])
run_here(prog_name="flask simulate")
