"""Benchmarks: `make bench` runs them all; `python -m bench.<name> --help` runs one.

Nothing of production imports this package. Traffic goes to 127.0.0.1 only, every run is bounded in time,
and whatever was started is ended. docs/performance.md holds the method and the latest figures.
"""
