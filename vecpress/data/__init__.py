"""The small real data set that ships with the package; read it with `vecpress.datasets.demo()`."""
