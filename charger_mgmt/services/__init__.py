"""One function per use case.

Services for chargers' messages take batches and a connection and never commit: the committer does. A REST
use case commits once, at its end.
"""
