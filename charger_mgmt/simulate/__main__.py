"""`python -m charger_mgmt.simulate`: the fleet; starts anew under gevent's patching if need be."""

import sys

from gevent import monkey

from .cli import become_patched, run_here

if not monkey.is_module_patched("socket"):
    become_patched(sys.argv[1:])
run_here(prog_name="flask simulate")
