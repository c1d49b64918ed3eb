"""The stub of the compiled module names what the module has: every function, class, method and argument."""

import ast
import inspect
import re
from pathlib import Path

import vecpress
from vecpress import _native

STUB = ast.parse(Path(vecpress.__file__).with_name("_native.pyi").read_text())


def arguments(node: ast.FunctionDef) -> list[str]:
    return [a.arg for a in node.args.args if a.arg != "self"]


def signature(function) -> list[str]:
    """Argument names from the first line of pybind11's docstring: name(a: int, b: ...) -> None."""
    inside = re.match(r"\w+\((.*)\) ->", function.__doc__.splitlines()[0])[1]
    flat = inside
    while "[" in flat:  # types hold commas and colons of their own
        flat, before = re.sub(r"\[[^\[\]]*\]", "", flat), flat
        assert flat != before
    return [part.split(":")[0].strip() for part in flat.split(",") if part.strip() and not part.strip().startswith("self")]


def functions(body) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}


def test_functions_and_arguments():
    stub = functions(STUB.body)
    real = {name: f for name, f in vars(_native).items() if inspect.isbuiltin(f)}
    assert set(stub) == set(real)
    for name, function in real.items():
        assert arguments(stub[name]) == signature(function), name


def test_classes():
    stub = {node.name: functions(node.body) for node in STUB.body if isinstance(node, ast.ClassDef)}
    real = {name: c for name, c in vars(_native).items() if inspect.isclass(c)}
    assert set(stub) == set(real)
    for name, methods in stub.items():
        public = {m for m in vars(real[name]) if not m.startswith("_")} | {m for m in methods if m.startswith("__")}
        assert set(methods) == public
        for method, node in methods.items():
            if not isinstance(vars(real[name])[method], property) and not method.startswith("__"):
                assert arguments(node) == signature(vars(real[name])[method]), method
