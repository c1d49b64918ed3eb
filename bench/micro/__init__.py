"""pytest-benchmark suite, one row an operation and backend."""
