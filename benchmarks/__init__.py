"""Measures the client against its peers: `python -m benchmarks`, or `nox -s bench`."""
