"""Plug-ins of the suite: one file = one library."""
