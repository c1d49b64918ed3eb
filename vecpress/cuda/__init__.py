"""Codes and scans on CUDA devices: the compiled library, arrays there, the backend "cuda"; needs NumPy alone."""
