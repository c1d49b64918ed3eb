"""Device kernels, one file an operation, installed as vecpress.kernels: the only place that imports triton."""
