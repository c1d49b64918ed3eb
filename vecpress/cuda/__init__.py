"""Codes and scans on CUDA devices; nothing here is imported before it is asked for."""
