"""vecpress inspect: what a codec or index file says about itself."""

from __future__ import annotations

from typing import Annotated, Any

from .. import io
from .command import Arg, Result, command
from .console import Console, size, table


@command("Show what a codec or index file holds.")
def inspect(
    file: Annotated[str, Arg("FILE", "codec or index file, .vpz")],
    *,
    console: Console,
) -> Result:
    data = io.inspect(file)
    return Result(data, _text(data))


def _text(data: dict[str, Any]) -> str:
    about = [(key, value) for key, value in data.items() if key not in ("arrays", "codec", "layout", "path", "store")]
    about.insert(0, ("codec", _codec(data["codec"])))
    store = data.get("store")
    if store:
        about.append(("store", _codec(store) if store["kind"] == "codec" else _vectors(store)))
    if "layout" in data:
        about.append(("layout", ", ".join(f"{key} {value}" for key, value in data["layout"].items())))
    width = max(len(key) for key, _ in about)
    arrays = [
        [
            a["name"],
            a["dtype"],
            _shape(a["shape"]),
            size(a["nbytes"]),
            str(a["offset"]),
            a["checksum"],
        ]
        for a in data["arrays"]
    ]
    lines = [data["path"], *(f"  {key.ljust(width)}  {_value(key, value)}" for key, value in about)]
    if arrays:
        lines += ["", table(["array", "dtype", "shape", "size", "offset", "checksum"], arrays)]
    return "\n".join(lines)


def _codec(description: dict[str, Any]) -> str:
    config = ", ".join(f"{key}={value!r}" for key, value in description["config"].items())
    return f"{description['name']}({config})"


def _vectors(store: dict[str, Any]) -> str:
    return f"{store['dtype']} {_shape(store['shape'])} vectors, not in this file, from {store['path'] or 'memory'}"


def _shape(shape: list[int]) -> str:
    return " x ".join(map(str, shape))


def _value(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{size(value)} ({value} bytes)" if key.endswith("nbytes") else str(value)
