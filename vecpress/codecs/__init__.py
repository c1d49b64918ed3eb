"""One file a codec. Every module here is imported, and a subclass of `Codec` registers itself by being defined."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
