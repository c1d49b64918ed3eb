"""The command line: both front ends, every command, what is written where, and the exit codes."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import vecpress as vp
from vecpress import cli, datasets, dispatch
from vecpress.arrays import Rows
from vecpress.cli import argparse_front, selfcheck
from vecpress.cli.command import COMMANDS, UsageError
from vecpress.cli.console import Console, size, table, to_json
from vecpress.codec import Codec
from vecpress.sources import sample

HAS_TYPER = all(importlib.util.find_spec(name) for name in ("typer", "rich"))
needs_typer = pytest.mark.skipif(not HAS_TYPER, reason="typer and rich are not installed")
FRONTS = [pytest.param("plain"), pytest.param("typer", marks=needs_typer)]
DIM = 24


@pytest.fixture(params=FRONTS)
def front(request, monkeypatch) -> str:
    monkeypatch.setenv("VECPRESS_PLAIN", "1" if request.param == "plain" else "0")
    monkeypatch.delenv("VECPRESS_DEBUG", raising=False)
    return request.param


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A current folder with vectors, queries, a fitted codec and an index."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((700, DIM)).astype(np.float16)
    np.save("base.npy", x)
    np.save("queries.npy", rng.standard_normal((5, DIM)).astype(np.float32))
    codec = vp.PQ(m=6, n_bits=4).fit(x)
    codec.save("codec.vpz")
    index = vp.Index(codec)
    index.add(x)
    index.save("index.vpz")
    return tmp_path


def run(capsys, *argv: str) -> tuple[int, str, str]:
    code = cli.main(list(argv))
    out, err = capsys.readouterr()
    return code, out, err


def run_json(capsys, *argv: str) -> dict[str, Any]:
    code, out, err = run(capsys, *argv, "--json")
    assert code == 0, err
    assert out.endswith("\n") and out.count("\n") == 1, "expected exactly one line"
    return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def without_times(data: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in data.items() if "second" not in k}


# ---- the two front ends


LINES = [
    "demo", "demo --no-plot --seed 3", "demo --plot x.png --json",
    "auto x.npy --code-size 48", "auto x.npy --recall .9 --queries q.npy -k 5 --time-limit 1.5 -o c.vpz --json",
    "fit x.npy --codec PQ -o c.vpz", "fit x.npy --codec PQ --output=c.vpz --set m=4 --set n_bits=8 --seed 7",
    "fit --codec PQ x.npy -oc.vpz --metric l2 --queries q.npy --sample 10 --json --threads 2",
    "encode x.npy --codec c.vpz -o i.vpz", "encode --threads 1 x.npy -o i.npy --codec c.vpz",
    "search i.vpz q.npy", "search i.vpz -k 3 q.npy --symmetric --mmap", "search -k3 i.vpz q.npy -o r.npz",
    "search -- i.vpz q.npy", "search --json -- i.vpz -q.npy", "search i.vpz q.npy -k 1 -k 2",
    "search i.vpz q.npy --rerank 100 --store x.npy", "search i.vpz q.npy --radius 0.5", "search i.vpz q.npy --radius=-3e2",
    "encode x.npy --codec c.vpz --store x.npy -o i.vpz", "merge a.vpz b.vpz -o c.vpz", "merge a.vpz --renumber -o c.vpz",
    "inspect i.vpz", "inspect-data x.npy", "inspect-data d --metric l2 --seed 3 --threads 2 --json",
    "inspect-data x.npy --queries q.npy", "verify a.vpz", "verify a.vpz b.vpz --json c.vpz", "doctor", "doctor --json",
]  # fmt: skip
WRONG_LINES = [
    "nothing", "--nothing", "demo extra", "demo --seed", "demo --seed x", "demo --seed 1.0", "demo --see 1",
    "auto", "auto x.npy --code-size", "auto x.npy --code-size 4.5", "auto x.npy --recall x", "auto x.npy --time-limit soon",
    "fit", "fit x.npy", "fit x.npy --codec PQ", "fit x.npy --codec PQ -o c.vpz --nothing", "fit --codec PQ -o c.vpz",
    "encode x.npy -o i.vpz", "search", "search i.vpz", "search i.vpz q.npy r.npy", "search i.vpz q.npy -k",
    "search i.vpz q.npy -k many", "search i.vpz q.npy --mmap=1", "search i.vpz q.npy --radius x",
    "search i.vpz q.npy --rerank 1.5", "merge a.vpz",
    "merge -o c.vpz", "inspect", "inspect a b", "inspect-data", "inspect-data a b", "inspect-data a --seed x",
    "verify", "doctor x",
]  # fmt: skip


def parse(front: str, line: str) -> Any:
    if front == "plain":
        return argparse_front.parse(line.split(), "about", "version")
    from vecpress.cli import typer_front

    return typer_front.parse(line.split(), "about", "version")


@needs_typer
@pytest.mark.parametrize("line", LINES)
def test_front_ends_agree_on_what_was_asked(line: str) -> None:
    plain, typer = parse("plain", line), parse("typer", line)
    assert plain == typer
    assert plain.command.name == line.split()[0]
    assert plain.as_json == ("--json" in line)


@pytest.mark.parametrize("line", WRONG_LINES)
def test_wrong_usage(line: str, front: str, capsys) -> None:
    with pytest.raises(UsageError):
        parse(front, line)
    code, out, err = run(capsys, *line.split())
    assert (code, out) == (2, "")
    assert err.startswith("vecpress") and err.endswith("(see --help)\n") and err.count("\n") == 1


def test_arguments_are_read_into_their_types(front: str) -> None:
    call = parse(front, "fit x.npy --codec PQ -o c.vpz --set m=4 --set n_bits=8 --sample 10")
    assert call.arguments == {
        "vectors": "x.npy", "codec": "PQ", "output": "c.vpz", "settings": ["m=4", "n_bits=8"], "metric": None,
        "queries": None, "sample": 10, "seed": 0, "threads": None,
    }  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_of_a_command_names_all_it_takes(name: str, flag: str, front: str, capsys) -> None:
    code, out, err = run(capsys, name, flag)
    assert (code, err) == (0, "")
    for parameter in COMMANDS[name].parameters:
        for word in parameter.flags or [parameter.metavar]:
            assert word in out
    assert "--json" in out


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_help_names_every_command(argv: list[str], front: str, capsys) -> None:
    code, out, err = run(capsys, *argv)
    assert (code, err) == (0, "")
    for command in COMMANDS.values():
        assert command.name in out and command.help.split(".")[0].split(",")[0] in out


def test_version(front: str, capsys) -> None:
    assert run(capsys, "--version") == (0, f"vecpress {vp.__version__}\n", "")


def test_every_command_of_the_issue_is_there() -> None:
    assert list(COMMANDS) == [
        "demo", "auto", "fit", "encode", "search", "merge", "export", "import", "inspect", "inspect-data", "verify", "bench",
        "doctor",
    ]  # fmt: skip


# ---- inspect-data


@pytest.mark.parametrize("source", ["folder", "file", "hdf5", "named"])
def test_inspect_data(source: str, front: str, folder: Path, capsys) -> None:
    argv = {
        "folder": ["."],
        "file": ["base.npy", "--queries", "queries.npy", "--metric", "l2"],
        "hdf5": ["x.hdf5"],
        "named": ["x.hdf5::train", "--queries", "x.hdf5::test", "--metric=l2"],
    }[source]
    if source == "folder":
        (folder / "metric").write_text("l2")
    if source in ("hdf5", "named"):
        h5py = pytest.importorskip("h5py")
        with h5py.File("x.hdf5", "w") as file:
            file["train"], file["test"] = np.load("base.npy"), np.load("queries.npy")
            file.attrs["distance"] = "euclidean"
    data = run_json(capsys, "inspect-data", *argv)
    figures = vp.diagnose(np.load("base.npy"), np.load("queries.npy"), metric="l2")
    assert (data["n"], data["dim"], data["metric"], data["n_queries"]) == (700, DIM, "l2", 5)
    assert data["budgets"] == [vars(budget) for budget in figures.budgets] and data["budgets"][0]["recall"] is not None
    assert data["spectrum"] == figures.spectrum.tolist() and data["command"] == "inspect-data"
    code, out, _ = run(capsys, "inspect-data", *argv)
    assert code == 0 and str(figures) in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["."], ".: the metric is unknown: no file `metric` and no ground truth names it"),
        ([".", "--metric", "dot"], "vecpress inspect-data: --metric expected one of 'ip', 'l2', 'cos', got 'dot'"),
        ([".", "--metric", "ip", "--queries", "queries.npy"], "--queries is for one file of vectors; . is a data set"),
        (["nothing.npy"], "nothing.npy: no such folder, no such .hdf5 file, and no file whose name begins so"),
        (["codec.vpz"], "codec.vpz: expected a folder, a prefix or an .hdf5 file"),
        (["base.npy", "--seed=-1"], "--seed expected at least 0, got -1"),
        (["base.npy", "--queries", "nothing.npy"], "nothing.npy: No such file or directory"),
    ],
)
def test_inspect_data_refuses(argv: list[str], message: str, front: str, folder: Path, capsys) -> None:
    code, out, err = run(capsys, "inspect-data", *argv)
    assert (code, out) == (2, "") and message in err.splitlines()[-1]


def test_inspect_data_draws_for_any_terminal(folder: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("vecpress.cli.inspect_data._draws_bars", lambda: False)
    assert run(capsys, "inspect-data", "base.npy")[1].isascii()


# ---- auto


@pytest.mark.parametrize("asked", [["--code-size", "6"], ["--recall", "0.6"]], ids=lambda asked: asked[0])
def test_auto_finds_what_the_library_finds(asked: list[str], front: str, folder: Path, capsys) -> None:
    argv = ["auto", "base.npy", *asked, "--queries", "queries.npy", "--metric", "l2", "-k", "5", "--seed", "3"]
    data = run_json(capsys, *argv, "-o", "new.vpz", "--threads", "1")
    wanted = {"code_size": 6} if asked[0] == "--code-size" else {"recall": 0.6}
    x, queries = np.load("base.npy"), np.load("queries.npy")
    expected, report = vp.auto(x, queries, metric="l2", k=5, seed=3, num_threads=1, **wanted)
    assert vp.load("new.vpz") == expected
    assert (data["command"], data["vectors"], data["output"]) == ("auto", "base.npy", "new.vpz")
    assert (data["codec"], data["config"], data["state_nbytes"]) == (
        type(expected).__name__, expected.config(), expected.state_nbytes,
    )  # fmt: skip
    assert [row["codec"] for row in data["report"]["rows"]] == [row.codec for row in report.rows]
    assert data["report"]["best"]["recall"] == report.best.recall and data["report"]["held_out"] == report.held_out


def test_auto_prints_a_table_and_says_what_it_does(front: str, folder: Path, capsys) -> None:
    code, out, err = run(capsys, "auto", "base.npy", "--code-size", "6", "--threads", "1")
    assert code == 0 and "700 vectors of 24 dimensions, ip; at most 6 bytes a vector" in out
    assert "rows of x as queries" in out and "recall 10@10" in out and out.splitlines()[-1].startswith("In Python: vp.")
    assert all(line.startswith("vecpress: ") for line in err.splitlines()) and "codecs of at most 6 bytes a vector" in err
    assert len(err.splitlines()) < 10  # now and then, not one a trial
    scope = {"vp": vp, "x": np.load("base.npy")}
    exec(f"codec = {out.splitlines()[-1].removeprefix('In Python: ')}", scope)
    assert scope["codec"].code_size <= 6
    assert sorted(path.name for path in folder.iterdir()) == ["base.npy", "codec.vpz", "index.vpz", "queries.npy"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "expected exactly one of --code-size and --recall, got neither"),
        (["--code-size", "6", "--recall", "0.9"], "expected exactly one of --code-size and --recall, got both"),
        (["--code-size", "0"], "auto: code_size expected at least 1, got 0"),
        (["--recall", "95"], "auto: recall expected a number above 0, at most 1, got 95"),
        (["--code-size", "6", "--metric", "dot"], "vecpress auto: --metric expected one of 'ip', 'l2', 'cos', got 'dot'"),
        (["--code-size", "6", "--time-limit", "0"], "auto: time_limit expected a number above 0, got 0"),
        (["--code-size", "6", "--queries", "wide.npy"], "auto: queries expected d=24 columns, got shape (2, 25)"),
        (["--code-size", "6", "--queries", "nothing.npy"], "nothing.npy: No such file or directory"),
        (["--code-size", "6", "-o", "new.npy"], "new.npy: suffix expected .vpz, got '.npy'"),
        (["--code-size", "6", "--seed", "-1"], "auto: seed expected 0 to"),
    ],
)
def test_auto_refuses(options: list[str], message: str, front: str, folder: Path, capsys) -> None:
    np.save("wide.npy", np.zeros((2, DIM + 1), np.float32))
    output = [] if "-o" in options else ["-o", "new.vpz"]
    code, out, err = run(capsys, "auto", "base.npy", *output, *options)
    assert (code, out) == (2, "") and message in err.splitlines()[-1] and len(err.splitlines()) == 1
    assert not Path("new.vpz").exists()


def test_auto_names_a_file_that_is_not_there(front: str, folder: Path, capsys) -> None:
    assert run(capsys, "auto", "nothing.npy", "--code-size", "6")[::2] == (
        2,
        "vecpress: nothing.npy: No such file or directory\n",
    )


# ---- fit


def test_fit_learns_what_the_library_learns(front: str, folder: Path, capsys) -> None:
    data = run_json(
        capsys, "fit", "base.npy", "--codec", "PQ", "--set", "m=4", "--set", "n_bits=4", "--metric", "l2",
        "--queries", "queries.npy", "--seed", "5", "-o", "new.vpz",
    )  # fmt: skip
    expected = vp.PQ(m=4, n_bits=4, metric="l2", seed=5).fit(np.load("base.npy"))
    assert vp.load("new.vpz") == expected
    assert data["config"] == expected.config()
    assert (data["command"], data["output"], data["codec"]) == ("fit", "new.vpz", "PQ")
    assert (data["dim"], data["code_size"], data["rows"]) == (DIM, 2, 700)
    assert data["state_nbytes"] == expected.state_nbytes and data["bits_per_dim"] == expected.bits_per_dim


def test_fit_draws_its_sample_by_seed(folder: Path, capsys) -> None:
    def fit(seed: str) -> Codec:
        run_json(capsys, "fit", "base.npy", "--codec", "Sign", "--sample", "100", "--seed", seed, "-o", "new.vpz")
        return vp.load("new.vpz")

    drawn = sample(Rows(np.load("base.npy"), "x"), 100, 1).all()
    assert len(drawn) == 100 and fit("1") == fit("1") == vp.Sign().fit(drawn)
    assert fit("1") != fit("2")


def test_fit_hands_over_the_queries(folder: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("vecpress.codec._codecs", dict(vp.codec._codecs))
    seen = []

    class Asking(vp.Sign):
        """Keeps what it is given."""

        def _fit(self, x: Any, queries: Any, num_threads: int | None) -> None:
            seen.append((queries.all(), num_threads))
            super()._fit(x, queries, num_threads)

    argv = ["--codec", "Asking", "--queries", "queries.npy", "--threads", "2", "-o", "new.vpz"]
    run_json(capsys, "fit", "base.npy", *argv)
    np.testing.assert_array_equal(seen[0][0], np.load("queries.npy"))
    assert seen[0][1] == 2


@pytest.mark.filterwarnings("default::vecpress.errors.SmallTrainingSetWarning")
def test_fit_says_its_warnings_in_one_line_each(front: str, folder: Path, capsys) -> None:
    argv = ("fit", "base.npy", "--codec", "PQ", "--set", "m=4", "-o", "new.vpz")
    code, out, err = run(capsys, *argv)
    assert code == 0 and out.startswith("new.vpz: PQ(m=4, n_bits=8, metric='ip', seed=0), 4 bytes a vector")
    assert [line for line in err.splitlines() if line.startswith("vecpress: warning: ")]
    with warnings.catch_warnings():  # the same with --json: standard output holds nothing else
        warnings.simplefilter("error", ResourceWarning)
        run_json(capsys, *argv)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--codec", "Nothing"], "there is no codec 'Nothing'; there are"),
        (["--codec", "PQ"], "PQ needs --set m=VALUE; it has m, n_bits, metric, seed"),
        (["--codec", "PQ", "--set", "m"], "--set expected KEY=VALUE, got 'm'"),
        (["--codec", "PQ", "--set", "m=4", "--set", "m=5"], "--set m is given twice"),
        (
            ["--codec", "PQ", "--set", "m=4", "--set", "k=5"],
            "PQ has no option 'k'; it has m, n_bits, metric, seed",
        ),
        (["--codec", "PQ", "--set", "m=5"], "m expected a divisor of d=24, got 5"),
        (["--codec", "PQ", "--set", "m=four"], "PQ: m expected an int, got str"),
        (["--codec", "Sign", "--metric", "no"], "Sign: metric expected one of 'ip', 'l2', 'cos', got 'no'"),
        (
            ["--codec", "Sign", "--metric", "ip", "--set", "metric=l2"],
            "--set metric=l2 contradicts --metric ip",
        ),
        (["--codec", "Sign", "--sample", "0"], "--sample expected at least 1, got 0"),
        (["--codec", "Sign", "--seed", "-1"], "--seed expected at least 0, got -1"),
        (["--codec", "Sign", "--threads", "0"], "num_threads expected 1 to 1024, got 0"),
        (["--codec", "Sign", "--queries", "wide.npy"], "wide.npy expected d=24 columns, got shape (2, 25)"),
    ],
)
def test_fit_refuses(options: list[str], message: str, front: str, folder: Path, capsys) -> None:
    np.save("wide.npy", np.zeros((2, DIM + 1), np.float32))
    code, out, err = run(capsys, "fit", "base.npy", "-o", "new.vpz", *options)
    assert (code, out) == (2, "")
    assert message in err and len(err.splitlines()) == (2 if "num_threads" in message else 1)
    assert not Path("new.vpz").exists()


# ---- encode


def test_encode_to_an_index(front: str, folder: Path, capsys) -> None:
    data = run_json(capsys, "encode", "base.npy", "--codec", "codec.vpz", "-o", "new.vpz")
    assert Path("new.vpz").read_bytes() == Path("index.vpz").read_bytes()
    assert without_times(data) == {
        "command": "encode", "output": "new.vpz", "kind": "index", "vectors": 700, "dim": DIM, "code_size": 3,
        "file_nbytes": Path("new.vpz").stat().st_size, "times_smaller": 32.0,
    }  # fmt: skip


def test_encode_to_codes(front: str, folder: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("vecpress.arrays.BLOCK_BYTES", 4 * DIM * 100)  # several blocks
    data = run_json(capsys, "encode", "base.npy", "--codec", "codec.vpz", "-o", "codes.npy", "--threads", "1")
    np.testing.assert_array_equal(np.load("codes.npy"), vp.load("codec.vpz").encode(np.load("base.npy")))
    assert data["kind"] == "codes" and data["vectors_per_second"] > 0


def test_encode_without_rows(folder: Path, capsys) -> None:
    np.save("none.npy", np.empty((0, DIM), np.float32))
    run_json(capsys, "encode", "none.npy", "--codec", "codec.vpz", "-o", "codes.npy")
    assert np.load("codes.npy").shape == (0, 3)
    run_json(capsys, "encode", "none.npy", "--codec", "codec.vpz", "-o", "new.vpz")
    assert len(vp.load("new.vpz")) == 0


def test_encode_reads_one_array_of_several(folder: Path, capsys) -> None:
    x = np.load("base.npy")
    np.savez("many.npz", first=x[:10], second=x)
    run_json(capsys, "encode", "many.npz::first", "--codec", "codec.vpz", "-o", "codes.npy")
    assert np.load("codes.npy").shape == (10, 3)
    code, _, err = run(capsys, "encode", "many.npz", "--codec", "codec.vpz", "-o", "codes.npy")
    assert code == 2 and "expected the name of one array; there are first, second" in err


@pytest.mark.parametrize("output", ["new.vpz", "codes.npy"])
def test_a_bad_row_is_named_and_nothing_is_written(output: str, folder: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("vecpress.arrays.BLOCK_BYTES", 4 * DIM * 100)
    x = np.load("base.npy")
    x[345, 3] = np.nan
    np.save("bad.npy", x)
    before = sorted(os.listdir())
    code, out, err = run(capsys, "encode", "bad.npy", "--codec", "codec.vpz", "-o", output)
    assert (code, out) == (2, "")
    assert err == "vecpress: bad.npy expected finite values, row 345 has NaN or infinity\n"
    assert sorted(os.listdir()) == before


def test_encode_goes_on_where_it_was_stopped(front: str, folder: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("vecpress.arrays.BLOCK_BYTES", 4 * DIM * 100)
    argv = ("encode", "bad.npy", "--codec", "codec.vpz", "-o", "codes.npy", "--resume")
    x = np.load("base.npy")
    bad = x.copy()
    bad[345, 3] = np.nan
    np.save("bad.npy", bad)
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "") and "bad.npy expected finite values, row 345 has NaN" in err
    assert Path("codes.npy.partial").exists() and not Path("codes.npy").exists()
    np.save("bad.npy", x)
    assert run_json(capsys, *argv)["vectors"] == 700
    np.testing.assert_array_equal(np.load("codes.npy"), vp.load("codec.vpz").encode(x))
    assert not Path("codes.npy.partial").exists()
    code, _, err = run(capsys, *argv[:-2], "new.vpz", "--resume")
    assert code == 2 and "new.vpz: --resume expected .npy codes" in err


@pytest.mark.parametrize("output", ["new.vpz", "codes.npy"])
def test_encode_needs_memory_for_its_results_only(output: str, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows, dim = 400_000, 256
    big = np.lib.format.open_memmap("big.npy", "w+", np.float16, (rows, dim))  # 205 MB, as a sparse file
    big[::1000] = 1
    del big
    vp.Sign().fit(np.load("big.npy", mmap_mode="r")[:1000]).save("codec.vpz")
    codes = rows * dim // 8
    tracemalloc.start()
    try:
        run_json(capsys, "encode", "big.npy", "--codec", "codec.vpz", "-o", output)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    block = 8 << 20
    assert peak < 6 * block + (2 * codes if output == "new.vpz" else 0)  # the float16 file is 24 such blocks


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["missing.npy", "--codec", "codec.vpz", "-o", "x.vpz"], 2, "missing.npy: No such file or directory"),
        (["base.npy", "--codec", "missing.vpz", "-o", "x.vpz"], 2, "missing.vpz: No such file or directory"),
        (["base.npy", "--codec", "index.vpz", "-o", "x.vpz"], 2, "index.vpz: expected a codec, got an index"),
        (["base.npy", "--codec", "codec.vpz", "-o", "x.txt"], 2, "suffix expected .vpz or .npy, got '.txt'"),
        (["base.npy", "--codec", "codec.vpz", "-o", "no/x.vpz"], 2, "vecpress: no/x.vpz: No such file or directory"),
        (["base.npy", "--codec", "codec.vpz", "-o", "no/x.npy"], 2, "vecpress: no/x.npy: No such file or directory"),
        (["base.npy", "--codec", "codec.vpz", "-o", "folder.npy"], 2, "vecpress: folder.npy: Is a directory"),
        (["wide.npy", "--codec", "codec.vpz", "-o", "x.vpz"], 2, "wide.npy expected d=24 columns"),
        (["base.npy", "--codec", "base.npy", "-o", "x.vpz"], 1, "base.npy: start: not a vecpress file"),
        (["base.csv", "--codec", "codec.vpz", "-o", "x.vpz"], 2, "base.csv: suffix expected one of .npy"),
    ],
)
def test_encode_refuses(argv: list[str], code: int, message: str, front: str, folder: Path, capsys) -> None:
    Path("folder.npy").mkdir()
    np.save("wide.npy", np.zeros((2, DIM + 1), np.float32))
    got, out, err = run(capsys, "encode", *argv)
    assert (got, out) == (code, "") and message in err and err.count("\n") == 1


def twin(source: str, how: str) -> str:
    """Another name of the file `source`."""
    if how == "same":
        return source
    name = f"twin{Path(source).suffix}"
    (os.link if how == "hard link" else os.symlink)(source, name)
    return name


@pytest.mark.parametrize("how", ["same", "hard link", "symbolic link"])
@pytest.mark.parametrize(
    ("argv", "precious"),
    [
        (["encode", "base.npy", "--codec", "codec.vpz"], "base.npy"),
        (["encode", "base.npy", "--codec", "codec.vpz"], "codec.vpz"),
        (["fit", "base.npy", "--codec", "Sign", "--queries", "q.vpz::x"], "q.vpz"),
        (["search", "index.vpz", "many.npz::queries"], "many.npz"),
    ],
    ids=lambda v: v if isinstance(v, str) else v[0],
)
def test_no_output_overwrites_an_input(argv: list[str], precious: str, how: str, front: str, folder: Path, capsys) -> None:
    np.savez("many.npz", queries=np.load("queries.npy"))
    Path("q.vpz").write_bytes(Path("many.npz").read_bytes())
    before = Path(precious).read_bytes()
    output = twin(precious, how)
    code, out, err = run(capsys, *argv, "-o", output)
    assert (code, out) == (2, "") and f"{output}: output expected another file than the input {precious}" in err
    assert err.count("\n") == 1 and Path(precious).read_bytes() == before and Path(output).read_bytes() == before


def test_an_output_that_is_no_input_is_overwritten(front: str, folder: Path, capsys) -> None:
    Path("codes.npy").write_bytes(b"old")
    assert run(capsys, "encode", "base.npy", "--codec", "codec.vpz", "-o", "codes.npy")[0] == 0
    assert np.load("codes.npy").shape == (700, 3)


# ---- search


@pytest.mark.parametrize("options", [[], ["--mmap"], ["--symmetric", "--threads", "1"]])
def test_search_finds_what_the_library_finds(options: list[str], front: str, folder: Path, capsys, monkeypatch) -> None:
    load, mapped = vp.io.load, []
    monkeypatch.setattr("vecpress.io.load", lambda path, mmap: mapped.append(mmap) or load(path, mmap=mmap))
    data = run_json(capsys, "search", "index.vpz", "queries.npy", "-k", "7", *options)
    assert mapped == ["--mmap" in options]
    symmetric = "--symmetric" in options
    scores, ids = vp.load("index.vpz").search(np.load("queries.npy"), 7, symmetric=symmetric)
    np.testing.assert_array_equal(np.float32(data["scores"]), scores)
    np.testing.assert_array_equal(data["ids"], ids)
    assert (data["vectors"], data["queries"], data["k"], data["metric"]) == (700, 5, 7, "ip")


def test_search_prints_a_line_a_result(front: str, folder: Path, capsys) -> None:
    code, out, err = run(capsys, "search", "index.vpz", "queries.npy", "-k", "2")
    scores, ids = vp.load("index.vpz").search(np.load("queries.npy"), 2)
    lines = [line.split() for line in out.splitlines()]
    assert (code, err, lines[0]) == (0, "", ["query", "rank", "id", "score"])
    assert lines[2:] == [[str(q), str(r), str(ids[q, r]), f"{scores[q, r]:.6g}"] for q in range(5) for r in range(2)]


def test_search_in_batches(folder: Path, capsys, monkeypatch) -> None:
    whole = run_json(capsys, "search", "index.vpz", "queries.npy")
    monkeypatch.setattr("vecpress.cli.search.BATCH", 2)
    assert without_times(run_json(capsys, "search", "index.vpz", "queries.npy")) == without_times(whole)


def test_search_writes_a_file(folder: Path, capsys) -> None:
    data = run_json(capsys, "search", "index.vpz", "queries.npy", "-k", "3", "-o", "found.npz")
    scores, ids = vp.load("index.vpz").search(np.load("queries.npy"), 3)
    with np.load("found.npz") as found:
        np.testing.assert_array_equal(found["ids"], ids)
        np.testing.assert_array_equal(found["scores"], scores)
    assert data["output"] == "found.npz" and "ids" not in data


def test_search_for_more_than_there_is(folder: Path, capsys) -> None:
    np.save("few.npy", np.load("base.npy")[:2])
    run_json(capsys, "encode", "few.npy", "--codec", "codec.vpz", "-o", "few.vpz")
    data = run_json(capsys, "search", "few.vpz", "queries.npy", "-k", "3")
    assert all(row[2] == -1 for row in data["ids"]) and all(row[2] is None for row in data["scores"])
    _, out, _ = run(capsys, "search", "few.vpz", "queries.npy", "-k", "3")
    assert len(out.splitlines()) == 2 + 5 * 2  # what is not there is not printed


@pytest.fixture
def reranked(folder: Path, capsys) -> vp.Index:
    """Files: finer.vpz, a codec; stored.vpz with its codes, by_rows.vpz with base.npy as the store. The first, loaded."""
    vp.Raw("float16").fit(np.load("base.npy")).save("finer.vpz")
    data = run_json(capsys, "encode", "base.npy", "--codec", "codec.vpz", "--store", "finer.vpz", "-o", "stored.vpz")
    index = vp.load("stored.vpz")
    assert data["store_nbytes"] >= 700 * 2 * DIM and data["vectors"] == len(index) == 700
    np.testing.assert_array_equal(index.codes(index.ids, store=True), index.store.encode(np.load("base.npy")))
    np.testing.assert_array_equal(index.codes(index.ids), index.codec.encode(np.load("base.npy")))
    assert run(capsys, "encode", "base.npy", "--codec", "codec.vpz", "--store", "base.npy", "-o", "by_rows.vpz")[0] == 0
    return index


def test_search_reranks(front: str, reranked: vp.Index, capsys) -> None:
    q = np.load("queries.npy")
    data = run_json(capsys, "search", "stored.vpz", "queries.npy", "-k", "4", "--rerank", "50")
    _, ids = reranked.search(q, 4, rerank=50)
    np.testing.assert_array_equal(data["ids"], ids)
    assert (data["rerank"], data["store_nbytes"]) == (50, reranked.store_nbytes)
    for options in ([], ["--mmap"]):
        argv = ["search", "by_rows.vpz", "queries.npy", "-k", "4", "--rerank", "700", *options]
        data = run_json(capsys, *argv, "--store", "base.npy")
        np.testing.assert_array_equal(data["ids"], vp.exact(q, np.load("base.npy"), 4)[1])
        code, _, err = run(capsys, *argv)
        assert code == 2 and "store expected its vectors (float16 700 x" in err
    _, out, _ = run(capsys, "search", "stored.vpz", "queries.npy", "--rerank", "50", "-o", "r.npz")
    assert "; reranked by a store of" in out and np.load("r.npz")["ids"].shape == (5, 10)


def test_search_within_a_radius(front: str, folder: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("vecpress.cli.search.BATCH", 2)
    index, q = vp.load("index.vpz"), np.load("queries.npy")
    radius = float(np.sort(index.search(q, 30)[0].ravel())[40])
    offsets, scores, ids = index.search_radius(q, radius)
    data = run_json(capsys, "search", "index.vpz", "queries.npy", "--radius", repr(radius))
    assert (data["offsets"], data["ids"]) == (offsets.tolist(), ids.tolist()) and data["radius"] == radius
    np.testing.assert_array_equal(np.float32(data["scores"]), scores)
    assert 0 < len(ids) < 150 and "k" not in data
    _, out, _ = run(capsys, "search", "index.vpz", "queries.npy", "--radius", repr(radius))
    lines = [line.split() for line in out.splitlines()[2:]]
    wanted = [[i, j - offsets[i], ids[j], f"{scores[j]:.6g}"] for i in range(5) for j in range(offsets[i], offsets[i + 1])]
    assert lines == [[str(v) for v in line] for line in wanted]
    assert run(capsys, "search", "index.vpz", "queries.npy", "--radius", repr(radius), "-o", "r.npz")[0] == 0
    assert np.load("r.npz")["offsets"].tolist() == offsets.tolist()
    np.save("none.npy", np.empty((0, DIM), np.float32))
    assert run_json(capsys, "search", "index.vpz", "none.npy", "--radius", "1")["offsets"] == [0]


def test_search_gives_keys_where_there_are_such(front: str, folder: Path, capsys) -> None:
    index = vp.KeyedIndex(vp.load("codec.vpz"))
    index.add(np.load("base.npy")[:3], ["a", "\N{SNOWMAN}", "c"])
    index.save("keyed.vpz")
    _, keys = index.search(np.load("queries.npy"), 4)
    data = run_json(capsys, "search", "keyed.vpz", "queries.npy", "-k", "4")
    assert data["keys"] == keys.tolist() and keys[0, 3] is None and "ids" not in data
    _, out, _ = run(capsys, "search", "keyed.vpz", "queries.npy", "-k", "4")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["query", "rank", "key", "score"] and lines[2][2] == keys[0, 0] and len(lines) == 2 + 15
    assert run(capsys, "search", "keyed.vpz", "queries.npy", "-k", "4", "-o", "r.npz")[0] == 0
    assert np.load("r.npz")["keys"].tolist() == [[key or "" for key in row] for row in keys]
    within = run_json(capsys, "search", "keyed.vpz", "queries.npy", "--radius=-1e9")
    assert sorted(within["keys"][:3]) == ["a", "c", "\N{SNOWMAN}"]


def test_inspect_tells_of_stores(front: str, reranked: vp.Index, capsys) -> None:
    data = run_json(capsys, "inspect", "stored.vpz")
    assert data["store"]["name"] == "Raw" and data["store_nbytes"] == 700 * 2 * DIM
    assert run_json(capsys, "inspect", "by_rows.vpz")["store_nbytes"] == 700 * 2 * DIM
    _, out, _ = run(capsys, "inspect", "stored.vpz")
    assert "Raw(dtype='float16', metric='ip')" in out and "store_nbytes" in out
    _, out, _ = run(capsys, "inspect", "by_rows.vpz")
    assert f"float16 700 x {DIM} vectors, not in this file, from base.npy" in out


def test_merge(front: str, folder: Path, capsys) -> None:
    x = np.load("base.npy")
    for name, part, first in (("a.vpz", x[:300], 0), ("b.vpz", x[300:], 300)):
        index = vp.Index(vp.load("codec.vpz"))
        index.add(part, ids=np.arange(first, first + len(part)))
        index.save(name)
    data = run_json(capsys, "merge", "a.vpz", "b.vpz", "-o", "all.vpz")
    assert (data["vectors"], data["indexes"], data["file_nbytes"]) == (700, 2, Path("all.vpz").stat().st_size)
    assert Path("all.vpz").read_bytes() == Path("index.vpz").read_bytes()
    code, _, err = run(capsys, "merge", "a.vpz", "a.vpz", "-o", "x.vpz")
    assert code == 2 and "a.vpz: merge: ids expected new and different ids, 0 is there already" in err
    assert run_json(capsys, "merge", "a.vpz", "a.vpz", "--renumber", "-o", "x.vpz")["vectors"] == 600
    keyed = vp.KeyedIndex(vp.load("codec.vpz"))
    keyed.add(x[:2], ["a", "b"])
    keyed.save("keyed.vpz")
    code, _, err = run(capsys, "merge", "a.vpz", "keyed.vpz", "-o", "x.vpz")
    assert code == 2 and "keyed.vpz: expected an index without keys as a.vpz" in err
    assert run_json(capsys, "merge", "keyed.vpz", "-o", "x.vpz")["vectors"] == 2
    assert run(capsys, "merge", "a.vpz", "-o", "a.vpz")[0] == 2


def test_search_without_queries(folder: Path, capsys) -> None:
    np.save("none.npy", np.empty((0, DIM), np.float32))
    data = run_json(capsys, "search", "index.vpz", "none.npy")
    assert (data["ids"], data["scores"], data["queries"]) == ([], [], 0)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["codec.vpz", "queries.npy"], "codec.vpz: expected an index, got a codec"),
        (["index.vpz", "queries.npy", "-k", "0"], "search: k expected 1 to 2147483647, got 0"),
        (["index.vpz", "none.npy", "-k", str(10**12)], f"search: k expected 1 to 2147483647, got {10**12}"),
        (["index.vpz", "queries.npy", "-o", "no/x.npz"], "vecpress: no/x.npz: No such file or directory"),
        (["index.vpz", "queries.npy", "-o", "x.npy"], "x.npy: suffix expected .npz, got '.npy'"),
        (["index.vpz", "missing.npy"], "missing.npy: No such file or directory"),
    ],
)
def test_search_refuses(argv: list[str], message: str, front: str, folder: Path, capsys) -> None:
    np.save("none.npy", np.empty((0, DIM), np.float32))
    code, out, err = run(capsys, "search", *argv)
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1


# ---- inspect, verify


@pytest.mark.parametrize("name", ["codec.vpz", "index.vpz"])
def test_inspect(name: str, front: str, folder: Path, capsys) -> None:
    assert run_json(capsys, "inspect", name) == {"command": "inspect", **vp.io.inspect(name)}
    code, out, err = run(capsys, "inspect", name)
    assert (code, err) == (0, "")
    for word in (name, "PQ(m=6, n_bits=4", "codec.codebooks_", "6 x 16 x 4", "crc32:"):
        assert word in out
    assert ("64 x 192" in out) == False and ("11 x 192" in out) == (name == "index.vpz")  # noqa: E712


def corrupt(name: str) -> None:
    raw = bytearray(Path(name).read_bytes())
    raw[-1] ^= 1
    Path(name).write_bytes(raw)


def test_verify(front: str, folder: Path, capsys) -> None:
    assert run_json(capsys, "verify", "codec.vpz", "index.vpz") == {
        "command": "verify", "ok": True,
        "files": [{"file": f, "state": "ok", "error": None} for f in ("codec.vpz", "index.vpz")],
    }  # fmt: skip
    corrupt("codec.vpz")
    code, out, err = run(capsys, "verify", "index.vpz", "codec.vpz", "--json")
    data = json.loads(out)
    assert (code, err, data["ok"]) == (1, "", False)
    assert [file["state"] for file in data["files"]] == ["ok", "corrupt"]
    assert "checksum" in data["files"][1]["error"]
    code, out, _ = run(capsys, "verify", "codec.vpz", "missing.vpz", "index.vpz")
    assert code == 1  # corrupt is the graver finding
    assert [line.split(" ")[1] for line in out.splitlines()] == ["corrupt", "unreadable", "ok"]
    assert run(capsys, "verify", "missing.vpz", "index.vpz")[0] == 2


@pytest.mark.parametrize("command", [["search", "index.vpz", "queries.npy"], ["inspect", "short.vpz"]])
def test_a_corrupt_file_is_exit_code_1(command: list[str], front: str, folder: Path, capsys) -> None:
    Path("short.vpz").write_bytes(Path("index.vpz").read_bytes()[:100])
    corrupt("index.vpz")
    code, out, err = run(capsys, *command)
    assert (code, out) == (1, "") and err.startswith(f"vecpress: {command[1]}: ") and err.count("\n") == 1


# ---- doctor


def test_doctor(front: str, capsys, monkeypatch) -> None:
    monkeypatch.setenv("VECPRESS_TEST", "seen")
    data = run_json(capsys, "doctor")
    assert data["ok"] is True and data["version"] == vp.__version__ and data["numpy"] == np.__version__
    assert data["backends"] == vp.backends() and data["operations"] == dispatch.operations()
    assert data["environment"]["VECPRESS_TEST"] == "seen"
    checked = {(check["operation"], check["backend"]) for check in data["self_check"]}
    usable = {name for name, why in vp.backends().items() if why == "ok"}
    assert checked == {(op, b) for op, names in dispatch.operations().items() for b in names if b in usable}
    code, out, _ = run(capsys, "doctor")
    assert code == 0 and "all kernels compute the right thing" in out
    assert all(op in out for op in dispatch.operations()) and all(name in out for name in vp.backends())


def test_doctor_checks_every_operation() -> None:
    assert set(selfcheck.SAMPLES) == set(dispatch.operations())


def make_wrong(op: str, monkeypatch) -> None:
    """A backend `wrong` whose kernel of one operation gets the last number wrong."""
    right = dispatch._kernels[op]["reference"]

    def wrong(*args: Any) -> None:
        right(*args)
        last = np.unravel_index(args[0].size - 1, args[0].shape)
        args[0][last] = args[0][last] + 1 if args[0].dtype.kind == "i" else 77

    monkeypatch.setitem(dispatch._kernels[op], "wrong", wrong)
    monkeypatch.setitem(dispatch._backends, "wrong", dispatch.Backend("wrong", rank=-1))


@pytest.mark.parametrize("op", sorted(selfcheck.SAMPLES))
def test_a_wrong_kernel_is_found(op: str, monkeypatch) -> None:
    make_wrong(op, monkeypatch)
    assert "differs from the reference" in selfcheck.self_check(op, "wrong") and not selfcheck.self_check(op, "scalar")


def test_doctor_names_a_wrong_kernel(front: str, capsys, monkeypatch) -> None:
    make_wrong("norms", monkeypatch)
    code, out, _ = run(capsys, "doctor", "--json")
    bad = [check for check in json.loads(out)["self_check"] if not check["ok"]]
    assert code == 1 and [(check["operation"], check["backend"]) for check in bad] == [("norms", "wrong")]
    code, out, _ = run(capsys, "doctor")
    assert code == 1 and "norms with wrong: differs from the reference" in out and "WRONG" in out


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("VECPRESS_ISA", "nope", "VECPRESS_ISA: backend 'nope' is unknown"),
        ("VECPRESS_NUM_THREADS", "abc", "VECPRESS_NUM_THREADS expected 1 to 1024, got 'abc'"),
    ],
)
def test_doctor_reports_in_full_what_cannot_be_obeyed(name: str, value: str, problem: str, tmp_path: Path) -> None:
    """The environment in which nothing else works is the one that a doctor is called to."""
    command = [sys.executable, "-m", "vecpress", "doctor"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, name: value}, capture_output=True, text=True)
    assert done.returncode == 1 and f"PROBLEM: {problem}" in done.stdout and done.stderr == ""
    assert all(op in done.stdout for op in dispatch.operations()) and f"{name}={value}" in done.stdout
    done = subprocess.run([*command, "--json"], cwd=tmp_path, env={**os.environ, name: value}, capture_output=True, text=True)
    data = json.loads(done.stdout)
    assert done.returncode == 1 and data["ok"] is False and all(check["ok"] for check in data["self_check"])
    assert len(data["problems"]) == 1 and data["problems"][0].startswith(problem)


# ---- demo


@pytest.fixture
def small_demo(monkeypatch) -> datasets.Dataset:
    rng = np.random.default_rng(2)
    centres = rng.standard_normal((20, 16))
    base, queries = ((centres[rng.integers(20, size=n)] + rng.standard_normal((n, 16))).astype(np.float32) for n in (400, 30))
    data = datasets.Dataset("a small set", base, queries[10:], queries[:10], "ip", "none")
    monkeypatch.setattr(datasets, "demo", lambda: data)
    monkeypatch.setattr(sys.modules["vecpress.evaluate"], "MIN_SECONDS", 0)  # rates need not be precise here
    return data


def test_demo_measures_every_codec(front: str, small_demo, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = run_json(capsys, "demo", "--no-plot", "--seed", "3")
    wanted = [codec for cls in vp.codecs() for codec in cls.candidates(16, "ip")]
    assert sorted(r["label"] for r in data["results"]) == sorted(
        f"{type(c).__name__}({', '.join(f'{k}={v!r}' for k, v in c.config().items() if k not in ('metric', 'seed'))})"
        for c in wanted
    )
    assert {r["codec"] for r in data["results"]} == {cls.__name__ for cls in vp.codecs()}
    true_ids = vp.exact(small_demo.queries, small_demo.base, 10)[1]
    for result in data["results"]:
        assert result["config"].get("seed", 3) == 3
        codec = vp.codec_class(result["codec"])(**result["config"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", vp.SmallTrainingSetWarning)
            codec.fit(small_demo.base, small_demo.sample_queries)
        index = vp.Index(codec)
        index.add(small_demo.base)
        assert result["recall"] == pytest.approx(vp.recall(index.search(small_demo.queries, 10)[1], true_ids))
        assert result["code_size"] == codec.code_size and result["times_smaller"] == 64 / codec.code_size
        assert result["searches_per_second"] > 0 and result["fit_seconds"] > 0
    exact = next(r for r in data["results"] if r["label"] == "Raw(dtype='float32')")
    assert exact["recall"] == 1
    assert data["plot"] is None and not os.listdir()
    assert data["machine"]["cpu"] and data["machine"]["numpy"] == np.__version__


def test_demo_finds_a_codec_that_is_added_later(small_demo, capsys, monkeypatch) -> None:
    monkeypatch.setattr("vecpress.codec._codecs", dict(vp.codec._codecs))

    class Later(vp.Sign):
        """Defined here: no list anywhere names it."""

    labels = [r["label"] for r in run_json(capsys, "demo", "--no-plot")["results"]]
    assert "Later()" in labels
    assert Later in vp.codecs()


def test_demo_ends_with_lines_that_run(front: str, small_demo, capsys) -> None:
    code, out, _ = run(capsys, "demo", "--no-plot")
    data = run_json(capsys, "demo", "--no-plot")
    lines = [line[4:] for line in out[out.index("In Python:") :].splitlines()[2:]]
    assert code == 0 and "\n".join(lines) == data["python"]
    scope: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vp.SmallTrainingSetWarning)
        exec("\n".join(lines), scope)
    assert scope["ids"].shape == (20, 10)
    small = [r for r in data["results"] if r["code_size"] < 32]
    good = [r for r in small if r["recall"] >= 0.9]
    best = next(r for r in data["results"] if r["label"] == data["best"]["label"])
    assert best["config"] == scope["codec"].config()
    if good:
        assert best["code_size"] == min(r["code_size"] for r in good)
    else:
        assert best["recall"] == max(r["recall"] for r in small)


@pytest.mark.parametrize(
    ("found", "best"),  # (bytes, recall) of codecs on 16 dimensions, where float16 is 32 bytes
    [
        ([(4, 0.5), (8, 0.91), (16, 0.99), (32, 1.0), (64, 1.0)], (8, 0.91)),  # the fewest bytes with recall >= 0.9
        ([(4, 0.5), (8, 0.8), (16, 0.89), (32, 1.0), (64, 1.0)], (16, 0.89)),  # else the highest below float16
        ([(8, 0.9), (8, 0.95), (16, 0.99)], (8, 0.95)),
        ([(16, 0.7), (8, 0.7), (4, 0.6)], (8, 0.7)),
        ([(32, 1.0), (64, 1.0)], (32, 1.0)),
    ],
)
def test_which_codec_is_best(found: list[tuple[int, float]], best: tuple[int, float]) -> None:
    rows = [SimpleNamespace(codec=SimpleNamespace(code_size=s), figures=SimpleNamespace(recall=r)) for s, r in found]
    row = cli.demo._best(rows, 16)
    assert (row.codec.code_size, row.figures.recall) == best


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_demo_draws(suffix: str, small_demo, tmp_path: Path, capsys) -> None:
    pytest.importorskip("matplotlib")
    plot = tmp_path / f"chart.{suffix}"
    data = run_json(capsys, "demo", "--plot", str(plot))
    assert data["plot"] == str(plot)
    start = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[suffix]
    assert plot.read_bytes().startswith(start)
    if suffix == "svg":  # text stays text, so the labels can be found
        for result in data["results"]:
            assert f">{result['code_size']}<" in plot.read_text() and f">{result['codec']}<" in plot.read_text()


def test_demo_without_matplotlib_says_so(front: str, small_demo, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vecpress.cli.chart.available", lambda: False)
    code, _, err = run(capsys, "demo")
    assert code == 0 and "no chart: matplotlib is not installed" in err and not os.listdir()


def test_demo_refuses_a_chart_it_cannot_draw(front: str, capsys) -> None:
    code, out, err = run(capsys, "demo", "--plot", "chart.txt")
    assert (code, out) == (2, "") and "chart.txt: suffix expected .svg or .png or .pdf, got '.txt'" in err


@pytest.mark.parametrize("link", [os.link, os.symlink], ids=["hard link", "symbolic link"])
def test_demo_draws_over_none_of_its_vectors(link: Any, front: str, small_demo, folder: Path, capsys, monkeypatch) -> None:
    before = Path("base.npy").read_bytes()
    mapped = dataclasses.replace(small_demo, base=np.load("base.npy", mmap_mode="r"))
    monkeypatch.setattr(datasets, "demo", lambda: mapped)
    link("base.npy", "chart.svg")
    code, out, err = run(capsys, "demo", "--plot", "chart.svg")
    assert (code, out) == (2, "") and "chart.svg: output expected another file than the input" in err
    assert Path("base.npy").read_bytes() == before


@pytest.mark.slow
def test_demo_on_the_real_set_within_a_minute(tmp_path: Path) -> None:
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "vecpress", "demo", "--json"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0 and time.monotonic() - start < 60
    recall = {r["label"]: r["recall"] for r in json.loads(done.stdout)["results"]}
    assert recall["PQ(m=48, n_bits=8)"] > 0.65 and recall["Raw(dtype='float16')"] > 0.99


# ---- errors, interrupts, output


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("two\nlines"), 2, "vecpress: two lines"),
        (MemoryError(), 2, "vecpress: MemoryError"),
        (vp.CorruptFileError("x.vpz: header: bad"), 1, "vecpress: x.vpz: header: bad"),
        (vp.BackendError("no avx512"), 2, "vecpress: no avx512"),
        (OSError(28, "No space left on device", "x.npy"), 2, "vecpress: x.npy: No space left on device"),
        (KeyboardInterrupt(), 130, "vecpress: interrupted"),
        (RuntimeError("odd"), 70, "vecpress: fault: RuntimeError: odd (VECPRESS_DEBUG=1 shows where)"),
    ],
)
def test_exit_codes(error: BaseException, code: int, line: str, front: str, capsys, monkeypatch) -> None:
    def fail(path: str) -> None:
        raise error

    monkeypatch.setattr("vecpress.io.inspect", fail)
    assert run(capsys, "inspect", "x.vpz") == (code, "", line + "\n")
    assert run(capsys, "inspect", "x.vpz", "--json") == (code, "", line + "\n")
    monkeypatch.setenv("VECPRESS_DEBUG", "1")
    got, out, err = run(capsys, "inspect", "x.vpz")
    assert (got, out) == (code, "") and "Traceback" in err and err.endswith(line + "\n")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="watches the process through /proc")
@pytest.mark.parametrize("output", ["new.vpz", "codes.npy"])
def test_ctrl_c_leaves_nothing_behind(output: str, tmp_path: Path) -> None:
    np.lib.format.open_memmap(tmp_path / "big.npy", "w+", np.float32, (16_000_000, 64))  # 4 GB, as a sparse file
    vp.PQ(m=16).fit(np.random.default_rng(0).random((10_000, 64), np.float32)).save(tmp_path / "codec.vpz")
    before = sorted(os.listdir(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-m", "vecpress", "encode", "big.npy", "--codec", "codec.vpz", "-o", output],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while "big.npy" not in Path(f"/proc/{process.pid}/maps").read_text():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.3)  # in the middle of it
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"vecpress: interrupted\n")
    assert time.monotonic() - sent < 2  # most of it is the end of the interpreter on a busy machine
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.skipif(os.name != "posix", reason="pipes as on POSIX")
def test_a_reader_that_goes_away(folder: Path) -> None:
    np.save("many.npy", np.zeros((3000, DIM), np.float32))
    command = f"{sys.executable} -m vecpress search index.vpz many.npy; echo $? >&2"
    done = subprocess.run(["bash", "-c", f"({command}) | head -n 1"], capture_output=True, text=True)
    assert done.stdout.split() == ["query", "rank", "id", "score"]
    assert done.stderr == "141\n"


def test_json_has_no_numbers_that_json_lacks() -> None:
    value = {
        "a": [np.float32("nan"), float("inf"), np.int64(3)],
        "b": np.array([[1.5, np.nan]]),
        "c": (True, None),
    }
    assert json.loads(to_json(value)) == {"a": [None, None, 3], "b": [[1.5, None]], "c": [True, None]}


def test_table_and_sizes() -> None:
    assert table(["a", "bb"], [["xyz", "1"], ["q", "100"]]) == "a     bb\n---  ---\nxyz    1\nq    100"
    assert [size(n) for n in (0, 999, 1000, 1536, 5_000_000)] == ["0 B", "999 B", "1 kB", "1.54 kB", "5 MB"]


def test_plain_progress_writes_lines_now_and_then(front: str, capsys, monkeypatch) -> None:
    monkeypatch.setattr("vecpress.cli.console.SECONDS_BETWEEN_LINES", 0)
    with Console().progress("work", 4) as advance:
        advance(1)
        advance(3)
    out, err = capsys.readouterr()
    assert (out, err) == ("", "work: 25 %\nwork: 100 %\n")


class Terminal:
    """Standard error as a terminal that remembers what was written."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_cleans_up(front: str, monkeypatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("vecpress.cli.console.SECONDS_BETWEEN_UPDATES", 0)
    monkeypatch.setenv("TERM", "xterm")
    with Console().progress("work", 2) as advance:
        advance(1)
        time.sleep(0.15 if front == "typer" else 0)  # rich redraws ten times a second
    assert "work" in terminal.text
    if front == "plain":
        assert "work: 50 %" in terminal.text and terminal.text.endswith("\r")
    else:
        assert "50%" in terminal.text and "\x1b[2K" in terminal.text  # erases its line
