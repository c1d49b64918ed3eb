"""Choosing, forcing and explaining backends; what `import vecpress` loads; which way imports go."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vecpress as vp
from vecpress import dispatch, native, ops

PACKAGE = Path(vp.__file__).parent
STATES = vp.backends()
RUNNABLE = [name for name, state in STATES.items() if state == "ok"]
MISSING = [name for name, state in STATES.items() if state != "ok"]


def python(code: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("VECPRESS_")} | environment
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, cwd=PACKAGE.parent)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.fixture
def calls(monkeypatch):
    """An operation of its own, whose kernels note their names; the registry is as before afterwards."""
    monkeypatch.setattr(dispatch, "_backends", dict(dispatch._backends))
    monkeypatch.setattr(dispatch, "_kernels", {op: dict(kernels) for op, kernels in dispatch._kernels.items()})
    monkeypatch.setattr(dispatch, "_forced", None)
    monkeypatch.setattr(dispatch, "_forced_by", "")
    monkeypatch.setattr(dispatch, "_chosen", {})
    monkeypatch.delenv("VECPRESS_NUM_THREADS", raising=False)
    seen: list[tuple] = []
    dispatch.register_backend("best", 1000, why_not="it is a test")
    dispatch.register_backend("good", 900)
    for name in ("reference", "good", "best"):
        dispatch.register("trial", name, lambda *args, name=name: seen.append((name, args)))
    return seen


# ---- choice


def test_the_best_that_runs_is_chosen(calls):
    dispatch.run("trial", 1, 2)
    assert calls == [("good", (1, 2, native.default_threads()))]


def test_arguments_end_with_the_thread_count(calls):
    dispatch.run("trial", "x", num_threads=3)
    dispatch.run("trial", "x", num_threads=np.int64(2))
    assert [args for _, args in calls] == [("x", 3), ("x", 2)]


def test_forced_backend_runs_for_a_block_or_from_here_on(calls):
    with vp.use("reference"):
        dispatch.run("trial")
        with vp.use("good"):
            dispatch.run("trial")
            with vp.use(None):
                dispatch.run("trial")
        dispatch.run("trial")
    dispatch.run("trial")
    assert [name for name, _ in calls] == ["reference", "good", "good", "reference", "good"]
    vp.use("reference")
    dispatch.run("trial")
    vp.use(None)
    dispatch.run("trial")
    assert [name for name, _ in calls[5:]] == ["reference", "good"]


def test_a_preferred_backend_runs_where_it_has_a_kernel_and_none_is_forced(calls):
    dispatch.register_backend("far", -1)
    dispatch.register("trial", "far", lambda *args: calls.append(("far", args)))
    dispatch.register("other", "good", lambda *args: calls.append(("good", args)))
    with dispatch.prefer("far"):
        dispatch.run("trial")
        dispatch.run("other")
        with vp.use("reference"):
            dispatch.run("trial")
    dispatch.run("trial")
    assert [name for name, _ in calls] == ["far", "good", "reference", "good"]


def test_a_backend_below_the_reference_is_never_taken_unasked(calls):
    dispatch.register_backend("far", -1)
    dispatch.register("lonely", "reference", lambda *args: calls.append(("reference", args)))
    dispatch.register("lonely", "far", lambda *args: calls.append(("far", args)))
    dispatch.run("lonely")
    with vp.use("far"):
        dispatch.run("lonely")
    assert [name for name, _ in calls] == ["reference", "far"]


def test_an_error_inside_a_block_ends_the_forcing(calls):
    with pytest.raises(KeyError), vp.use("reference"):
        raise KeyError
    dispatch.run("trial")
    assert calls[-1][0] == "good"


def test_a_forced_backend_without_the_operation_raises(calls):
    message = "operation 'trial' has no 'scalar' kernel; it has best, good, reference"
    with vp.use("scalar"), pytest.raises(vp.BackendError, match=message):
        dispatch.run("trial")
    assert not calls


def test_unknown_backend():
    message = "backend 'sse9' is unknown; there are avx2, avx512, cuda, neon, reference, scalar"
    with pytest.raises(vp.BackendError, match=message):
        vp.use("sse9")


@pytest.mark.parametrize("name", MISSING)
def test_a_backend_that_cannot_run_raises_with_the_reason(name):
    with pytest.raises(vp.BackendError, match=re.escape(f"backend '{name}' cannot run here: {STATES[name]}")):
        vp.use(name)
    assert name == "cuda" or STATES[name].startswith("the processor lacks ")


def test_backends_lists_every_instruction_set():
    assert set(STATES) == {"avx512", "avx2", "neon", "scalar", "reference", "cuda"}
    assert STATES["scalar"] == STATES["reference"] == "ok"
    assert list(STATES)[-2:] == ["reference", "cuda"]


# ---- words


def test_explain_says_what_runs_and_why(calls):
    assert vp.explain("trial") == "trial: good (best that runs here)\n  not best: it is a test\n  not reference: slower"
    with vp.use("reference"):
        assert vp.explain("trial") == "trial: reference (forced)\n  not best: it is a test\n  not good: another backend is forced"
    with vp.use("scalar"):
        assert vp.explain("trial").startswith("trial: operation 'trial' has no 'scalar' kernel")


def test_explain_of_an_unknown_operation():
    with pytest.raises(ValueError, match="explain: there is no operation 'mix'; there are assign, "):
        vp.explain("mix")


# ---- environment


@pytest.mark.parametrize("name", RUNNABLE)
def test_environment_forces_a_backend(name):
    said = python("import vecpress as vp; print(vp.explain('hamming'))", VECPRESS_ISA=name)
    assert said.splitlines()[0] == f"hamming: {name} (forced)"


def test_environment_may_be_empty():
    assert "best that runs here" in python("import vecpress as vp; print(vp.explain('hamming'))", VECPRESS_ISA="")


@pytest.mark.parametrize("name", ["sse9", *MISSING[:1]])
def test_environment_that_cannot_be_obeyed_raises_at_every_use(name):
    code = """
import numpy as np, vecpress as vp
from vecpress import ops
x = np.ones((1, 2), np.float32)
for call in (lambda: ops.norms(x), lambda: ops.norms(x), lambda: vp.exact(x, x, 1), lambda: vp.Index(vp.Raw().fit(x)).add(x)):
    try:
        call()
    except vp.BackendError as error:
        print(error)
"""
    lines = python(code, VECPRESS_ISA=name).splitlines()
    assert len(lines) == 4 and all(line.startswith(f"VECPRESS_ISA: backend '{name}' ") for line in lines)


def test_environment_that_cannot_be_obeyed_leaves_questions_answered_and_a_way_out():
    code = """
import numpy as np, vecpress as vp
from vecpress import ops
x = np.array([[3, 4]], np.float32)
print(vp.backends()["scalar"], vp.explain("norms").splitlines()[0], sep="\\n")
with vp.use("scalar"):
    print(ops.norms(x)[0])
try:
    ops.norms(x)
except vp.BackendError as error:
    print(error)
    vp.use(None)
print(ops.norms(x)[0])
"""
    lines = python(code, VECPRESS_ISA="sse9").splitlines()
    unknown = "VECPRESS_ISA: backend 'sse9' is unknown; there are avx2, avx512, cuda, neon, reference, scalar"
    assert lines[:5] == ["ok", f"norms: {unknown}", "5.0", unknown, "5.0"]


@pytest.mark.parametrize("name", RUNNABLE)
def test_forcing_reaches_the_kernel(name, monkeypatch):
    """Not only the words: the kernel that runs is the forced one."""
    kernels = dict(dispatch._kernels["norms"])
    seen = []
    for backend, kernel in kernels.items():
        monkeypatch.setitem(
            dispatch._kernels["norms"], backend, lambda *a, backend=backend, kernel=kernel: (seen.append(backend), kernel(*a))
        )
    with vp.use(name):
        assert ops.norms(np.array([[3, 4]], np.float32))[0] == 5
    assert seen == [name]


# ---- imports


def test_import_is_light():
    """NumPy and what comes with Python: no adapter, and no package that one is for."""
    heavy = (
        "torch", "triton", "sklearn", "scipy", "matplotlib", "rich", "typer", "faiss", "pandas", "pyarrow", "h5py", "usearch",
        "lancedb", "sentence_transformers", "transformers", "langchain_core", "llama_index", "haystack", "mteb", "datasets",
        "safetensors", "vecpress.integrations",
    )  # fmt: skip
    assert python(f"import sys, vecpress; print([m for m in {heavy} if m in sys.modules])") == "[]"
    # and whatever else is installed here
    code = "import sys, numpy; known = {m.split('.')[0] for m in sys.modules}; import vecpress; "
    code += "print({m.split('.')[0] for m in sys.modules} - known - set(sys.stdlib_module_names))"
    assert python(code) == "{'vecpress'}"


def test_import_takes_less_than_300_ms(tmp_path):
    """Or, on a slow machine, than 2.5 times what NumPy takes. In processor time, so that what else the machine does counts for
    nothing; compiled, as installed packages are."""
    compiled = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    code = "import os; os.environ['OPENBLAS_NUM_THREADS'] = '1'; "  # whose threads spin while they wait
    code += "import time; t = time.process_time(); import {}; print(time.process_time() - t)"
    ours, numpy = (min(float(python(code.format(name), **compiled)) for _ in range(6)) for name in ("vecpress", "numpy"))
    assert ours < max(0.3, 2.5 * numpy)


LAYERS = (  # a module imports from layers above it here, or from its own; nothing imports what stands below
    {"errors", "checks"},
    {"dispatch", "native", "container"},
    {"ops"},
    {"cuda"},
    {
        "allocation", "arrays", "axes", "bounds", "datasets", "heldout", "ids", "kmeans", "layers", "level_tables",
        "normal_levels", "pca", "residual", "rwlock", "scales", "sources", "synthetic", "transformfit", "transformloss",
        "vectorfiles", "weighting",
    },
    {"query"},
    {"codec"},
    {"centred", "chain", "labels", "recurrent"},
    {"recurrentfit"},
    {"alignment", "codecs", "stream", "train"},
    {"contents"},
    {"devicecolumn"},
    {"devices", "filters", "ranges", "store"},
    {"incoming"},
    {
        "auto", "compatibility", "diagnostics", "evaluate", "forecast", "index", "io", "keys", "paragraphs", "parse", "relevance",
        "trials",
    },
    {"cli", "integrations"},
    {"__init__", "__main__"},
)
# inside functions, where a method of a low layer is a door to a high one
DOORS = {("dispatch", "native"), ("native", "cuda"), ("codec", "io"), ("codec", "stream"), ("index", "io"), ("keys", "io")}
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def modules() -> list[tuple[str, ast.Module, Path]]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        top = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if top not in ("data", "kernels"):  # data holds no code to speak of; device kernels are a tree of their own
            found.append((top, ast.parse(path.read_text()), path))
    return found


def imported(tree: ast.AST, path: Path) -> list[tuple[str, bool]]:
    """(module of vecpress, whether at the file's top level) for every import of the package itself in a file."""
    top_level = {id(node) for node in ast.iter_child_nodes(tree)}
    depth = len(path.relative_to(PACKAGE).parts)
    out = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            if node.level < depth:
                continue  # within its own folder
            names = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
            out += [(name, id(node) in top_level) for name in names if name not in ("__version__", "_native")]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            name = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            assert name is None or name.split(".")[0] != "vecpress", f"{path}: import the package's own modules relatively"
    return out


def test_every_module_has_a_layer():
    assert {top for top, _, _ in modules()} <= set(LEVEL)


def test_imports_go_one_way():
    """cli, integrations -> index, auto, evaluate -> codecs -> ops -> dispatch (ARCHITECTURE.md)."""
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}{'' if top_level else ' in a function'}"
        for top, tree, path in modules()
        for name, top_level in imported(tree, path)
        if LEVEL[name] > LEVEL[top] and (top_level or (top, name) not in DOORS)
    ]
    assert not wrong


def test_within_a_layer_imports_have_no_cycle():
    edges = {
        (top, name) for top, tree, path in modules() for name, top_level in imported(tree, path)
        if top_level and name != top and LEVEL[name] == LEVEL[top]
    }  # fmt: skip
    while edges:
        leaves = {name for _, name in edges} - {top for top, _ in edges}
        assert leaves, f"a cycle among {sorted(edges)}"
        edges = {(top, name) for top, name in edges if name not in leaves}


def test_native_alone_imports_the_extension():
    users = {
        path.name
        for _, tree, path in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module == "_native" or any(a.name == "_native" for a in node.names))
    }
    assert users == {"native.py"}


def test_device_libraries_are_imported_in_their_places_only():
    for top, tree, path in modules():
        for node in ast.iter_child_nodes(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            heavy = {name.split(".")[0] for name in names} & {"torch", "triton", "sklearn"}
            assert not heavy or top in ("train", "integrations"), f"{path} imports {heavy}"


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="the system's list of processor features is read from /proc")
def test_instruction_sets_are_those_that_the_system_lists():
    flags = next((line.split() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")), None)
    if flags is None:
        pytest.skip("not an x86 processor")
    avx2 = {"avx2", "fma", "f16c", "popcnt"} <= {*flags}
    wide = {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vbmi", "avx512_bitalg", "avx512_vpopcntdq",
            "avx512_vnni"} <= {*flags}
    assert (STATES["avx2"] == "ok") == avx2
    assert (STATES["avx512"] == "ok") == (avx2 and wide)
