"""Benchmarks: what this machine allows (limits), and every operation beside it (micro). Run from the repository's root."""
