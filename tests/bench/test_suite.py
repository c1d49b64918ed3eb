"""The suite: what bad contenders come to, resuming, interrupts, the same figures twice, and what the plan holds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import clustered

import vecpress as vp
from vecpress import cli
from vecpress import codec as codec_module
from vecpress.bench import inputs, plan, plugins, records, run_one, suite, table
from vecpress.cli.console import Console
from vecpress.codecs.sign import Sign

FOLDER = Path(__file__).parent / "plugins"
SMALL = replace(plan.DEFAULT, seconds=0.01, minutes=None, threads=1, folders=(FOLDER,), timeout=60.0)
DIM = 16


@pytest.fixture
def data(tmp_path) -> Path:
    """A folder with a small set, of more than enough queries for comparisons."""
    folder = tmp_path / "small_set"
    folder.mkdir()
    np.save(folder / "base.npy", clustered(1, 500, DIM).astype(np.float16))
    np.save(folder / "queries.npy", clustered(1, 310, DIM, draw=1))
    _, ids = vp.exact(np.load(folder / "queries.npy"), np.load(folder / "base.npy"), 100)
    np.save(folder / "gt_ip.npy", ids.astype(np.int32))
    (folder / "qrels.json").write_text(json.dumps([[int(row[0])] for row in ids]))
    return folder


def run_fakes(data: Path, hows: tuple[str, ...], tmp_path: Path, **settings) -> dict[str, records.Record]:
    with inputs.workspace() as folder:
        ready = inputs.prepare(inputs.read(str(data)), folder / "0", 1)
        before = {path.name: path.read_bytes() for path in ready.folder.glob("*.npy")}
        (plugin,) = (p for p in plugins.found([FOLDER]) if p.NAME == "fake")
        offered = plugin.contenders(ready.profile, [4 * DIM])
        wanted = run_one.Settings(1, 0.01, **{"timeout": 60.0, "memory": run_one.default_memory(), **settings})
        done = {
            c.config["how"]: run_one.run(run_one.Run(plugin, c, 4 * DIM, 0), ready, wanted)
            for c in offered
            if c.config["how"] in hows
        }
        assert {path.name: path.read_bytes() for path in ready.folder.glob("*.npy")} == before
    return done


def test_what_a_good_and_a_writing_contender_come_to(data, tmp_path):
    done = run_fakes(data, ("exact", "write"), tmp_path)
    record = done["exact"]
    assert record.status == "ok", record.error
    assert (record.recall, record.recall_1, record.recall_wide, record.ndcg, record.success) == (1, 1, 1, 1, 1)
    assert record.hits == "a" * 310 and record.distortion is None
    assert record.data["n_figures"] == 310 and record.data["name"] == "small_set" and record.data["metric"] == "ip"
    assert record.versions["fake"] == "1.2.3" and record.machine["threads"] == 1 and record.machine["load_before"] >= 0
    assert 0 < record.latency_p50 <= record.latency_p99 and record.search_per_second > 0 and record.encode_per_second > 0
    assert record.peak_memory >= 500 * DIM * 4
    json.dumps(record.__dict__, allow_nan=False)
    assert done["write"].status == "ok" and done["write"].recall == 1


def test_crashes_and_wrong_answers_are_failures_with_their_last_words(data, tmp_path):
    done = run_fakes(data, ("crash", "raise", "twice", "short", "exit"), tmp_path)
    assert {record.status for record in done.values()} == {"failed"}
    assert "SIGABRT" in done["crash"].error
    assert done["raise"].error.startswith("RuntimeError: the reason")
    assert "every row once" in done["twice"].error
    assert "(310, 10)" in done["short"].error and "(310, 9)" in done["short"].error
    assert done["exit"].error.startswith("SystemExit: 3")
    assert all(record.recall is None for record in done.values())


def test_a_hang_and_hunger_end(data, tmp_path):
    begun = time.monotonic()
    done = run_fakes(data, ("hang",), tmp_path, timeout=3.0)
    assert done["hang"].status == "failed" and done["hang"].error.startswith("no result within 3 s")
    done = run_fakes(data, ("hungry",), tmp_path, memory=1 << 30)
    assert done["hungry"].status == "failed" and "MemoryError" in done["hungry"].error
    assert time.monotonic() - begun < 50


def test_resumes_where_it_was_killed_and_two_runs_agree(data, tmp_path):
    """Killed by SIGKILL in the middle, then resumed, the file has the same figures as an uninterrupted run."""
    out, again = tmp_path / "out.jsonl", tmp_path / "again.jsonl"
    chosen = ["--data", str(data), "--codec", "LloydMax", "--quick"]
    chosen += ["--budget", "8", "--library", "vecpress", "--seeds", "2", "--threads", "1"]
    command = [sys.executable, "-m", "vecpress", "bench", *chosen, "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until(lambda: process.poll() is not None or (out.exists() and out.read_bytes().count(b"\n") >= 1))
    assert process.poll() is None
    process.kill()
    process.wait()
    first = out.read_bytes()
    with open(out, "ab") as file:
        file.write(b'{"key": "cut o')  # what a machine that lost its power leaves
    assert cli.main(["bench", *chosen, "--out", str(out)]) == 0
    assert out.read_bytes().startswith(first) and b"cut o" not in out.read_bytes()
    assert cli.main(["bench", *chosen, "--out", str(again)]) == 0
    one, two = (
        {r.key: (r.codec, r.seed, r.recall, r.recall_1, r.recall_wide, r.hits, r.distortion) for r in records.read(path)}
        for path in (out, again)
    )
    assert one == two and len(one) == 2
    seeds = {r.seed: r.hits for r in records.read(out)}
    assert set(seeds) == {0, 1} and seeds[0] != seeds[1]
    size = again.stat().st_size
    assert cli.main(["bench", *chosen, "--out", str(again)]) == 0
    assert again.stat().st_size == size  # nothing is left to do


def until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_a_whole_file_and_nothing_else(data, tmp_path, number):
    out, temporary = tmp_path / "out.jsonl", tmp_path / "tmp"
    temporary.mkdir()
    command = [sys.executable, "-m", "vecpress", "bench", "--data", str(data), "--codec", "Fake", "--out", str(out)]
    command += ["--plugins", str(FOLDER), "--library", "fake", "--budget", str(4 * DIM), "--threads", "1", "--quick"]
    env = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    hangs = f"{temporary}/"
    until(lambda: out.exists() and b"RuntimeError" in out.read_bytes())  # what comes next hangs
    until(lambda: list(temporary.glob("vecpress-bench-*/0/run/job.json")))
    process.send_signal(number)
    assert process.wait(20) == 130
    assert b"interrupted" in process.stderr.read()
    process.stderr.close()
    assert len(records.read(out)) >= 3 and out.read_bytes().endswith(b"\n")
    assert not list(temporary.glob("vecpress-bench-*"))
    until(lambda: not any(hangs in command_line(pid) for pid in os.listdir("/proc") if pid.isdecimal()))


def command_line(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_failures_are_retried_when_asked_and_missing_libraries_are_one_line(data, tmp_path, monkeypatch):
    out, console = tmp_path / "out.jsonl", Console()
    wanted = replace(SMALL, data=(str(data),), libraries=("fake",), budgets=(4 * DIM,), timeout=2.0, seeds=(0,))
    monkeypatch.setattr(run_one, "_in_process", lambda *_: {"error": "it failed"})
    failed = suite.bench(wanted, out, None, console)
    assert {r.status for r in failed.done} == {"failed"} and failed.measured == len(failed.done) == 10
    assert suite.bench(wanted, out, None, console).measured == 0
    assert suite.bench(wanted, out, None, console, retry_failed=True).measured == 10
    assert len(records.read(out)) == 10  # replaced, not added
    monkeypatch.setenv("FAKE_IS_MISSING", "1")
    for _ in range(2):
        assert suite.bench(wanted, out, None, console).measured == 0
    missing = [r for r in records.read(out) if r.status == "missing"]
    assert [(r.library, r.codec) for r in missing] == [("fake", "")]
    monkeypatch.delenv("FAKE_IS_MISSING")
    suite.bench(wanted, out, None, console)
    assert not [r for r in records.read(out) if r.status == "missing"]


def test_time_that_is_over_is_no_failure(data, tmp_path):
    wanted = replace(SMALL, data=(str(data),), libraries=("fake",), budgets=(4 * DIM,), deadline=0.5)
    outcome = suite.bench(wanted, tmp_path / "out.jsonl", None, Console())
    assert outcome.done == [] and outcome.not_run > 0 and records.read(tmp_path / "out.jsonl") == []


EVERY = replace(SMALL, configurations=10)


def measured(run: run_one.Run, ready: inputs.Inputs, settings: run_one.Settings) -> records.Record:
    """In the place of a run: its record, quickly, with the files that there are at its time."""
    there = sorted(path.name for path in ready.folder.parent.iterdir())
    return replace(run_one.new_record(run, ready.data, 1), status="failed", error=f"folders {there}")


def test_a_bad_set_costs_its_own_runs_only_and_sets_go_when_they_are_done(data, tmp_path, monkeypatch, capsys):
    for name in ("sets", "sets/0_good", "sets/1_bad", "sets/2_good"):
        (tmp_path / name).mkdir()
        for path in data.iterdir() if "/" in name else ():
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
    base = np.load(data / "base.npy")
    base[17, 3] = np.nan
    np.save(tmp_path / "sets" / "1_bad" / "base.npy", base)
    monkeypatch.setattr(run_one, "run", measured)
    wanted = replace(EVERY, data=(str(tmp_path / "sets"),), libraries=("fake",), budgets=(4 * DIM,), seeds=(0,))
    outcome = suite.bench(wanted, tmp_path / "out.jsonl", None, Console())
    assert [r.data["name"] for r in outcome.done] == ["0_good"] * 10 + ["2_good"] * 10
    assert {r.error for r in outcome.done} == {"folders ['0']", "folders ['2']"}
    assert (outcome.measured, outcome.not_run) == (20, 10)
    ((why, count),) = outcome.bad_sets.items()
    assert why.startswith("1_bad: ") and "row 17" in why and count == 10
    assert "left out: 1_bad" in capsys.readouterr().err
    assert "10 runs not made: 1_bad" in table.ending(outcome, "x") and "lack of time" not in table.ending(outcome, "x")
    with pytest.raises(ValueError, match=r"1_bad: .*row 17"):  # nothing is left of the plan
        suite.bench(replace(wanted, data=(str(tmp_path / "sets" / "1_bad"),)), tmp_path / "out.jsonl", None, Console())


def test_the_reports_folder_is_made_first_and_its_failure_is_no_end(data, tmp_path, monkeypatch):
    monkeypatch.setattr(run_one, "run", measured)
    wanted = replace(EVERY, data=(str(data),), libraries=("fake",), budgets=(4 * DIM,), seeds=(0,))
    html = tmp_path / "no" / "where" / "x.html"
    assert suite.bench(wanted, tmp_path / "out.jsonl", html, Console()).report == html and html.exists()
    for bad, error in ((data, ValueError), (html / "x.html", OSError)):
        with pytest.raises(error):
            suite.bench(wanted, tmp_path / "other.jsonl", bad, Console())
    assert not (tmp_path / "other.jsonl").exists()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vecpress.bench.report.write", full)
    outcome = suite.bench(wanted, tmp_path / "out.jsonl", html, Console())
    assert len(outcome.done) == 10 and outcome.report is None and "No space left" in outcome.why_no_report


# ---- the plan


def planned(of: plan.Plan, *profiles: tuple[plan.Profile, int]) -> plan.Runs:
    return plan.runs(of, profiles)


PROFILE = plan.Profile("a set", "ip", 6000, 6000, 500, 384)


def test_every_codec_is_in_the_plan_and_fits_its_budget():
    ours = planned(replace(plan.FULL, libraries=("vecpress",), minutes=None), (PROFILE, 400))
    runs = [p.run for p in ours.planned]
    assert {run.contender.codec for run in runs} == {cls.__name__ for cls in vp.codecs()} - {"Aligned"}  # is for an old model
    assert all(plugins.fits(run.contender.code_size, run.budget) for run in runs)
    sizes = {run.contender.code_size for run in runs if run.contender.codec == "LloydMax"}
    assert sizes == {2 + 48 * bits for bits in range(1, 9)}
    pq = {(run.contender.config["m"], run.contender.config["n_bits"]) for run in runs if run.contender.codec == "PQ"}
    assert {(48, 8), (96, 4), (16, 8), (384, 8)} <= pq
    symmetric = {run.contender.codec for run in runs if run.contender.config.get("symmetric")}
    assert symmetric == {"ITQ", "RecurrentBinary", "Sign"}
    seeds = {run.seed for run in runs if run.contender.codec == "PQ"}
    assert seeds == {0, 1, 2} and {run.seed for run in runs if run.contender.codec == "Sign"} == {None}
    configs = [(run.contender.codec, json.dumps(run.contender.config), run.seed) for run in runs]
    assert len(set(configs)) == len(configs)  # one that fits several budgets is run once


def test_a_codec_appears_by_itself(monkeypatch):
    monkeypatch.setattr(codec_module, "_codecs", dict(codec_module._codecs))

    class Planes(Sign):
        """So many planes of signs."""

        def __init__(self, planes: int, *, metric="ip"):
            super().__init__(metric=metric)
            if planes % 2:
                raise ValueError("planes expected an even number")
            self.planes = planes

        @property
        def code_size(self) -> int:
            return self.planes * super().code_size

        @classmethod
        def examples(cls):
            return [cls(2)]

    found = planned(replace(plan.FULL, libraries=("vecpress",), minutes=None), (PROFILE, 400))
    sizes = {p.run.contender.code_size for p in found.planned if p.run.contender.codec == "Planes"}
    assert {96, 192, 384} <= sizes


def test_ours_makes_what_the_contender_says():
    (ours,) = (p for p in plugins.found() if p.NAME == "vecpress")
    (chain,) = (c for c in ours.contenders(PROFILE, [32]) if "PQ(m=32, n_bits=8)" in str(c.config))
    assert chain.seeded and "seed" not in str(chain.config)
    assert chain.make(PROFILE, 7, 1).codec.config()["codec"] == "PQ(m=32, n_bits=8, seed=7)"


def test_no_size_falls_between_two_budgets():
    for size in range(plan.GRID[0], plan.GRID[-1] + 1):
        assert plugins.budget_of(size, plan.GRID) is not None
    assert plugins.budget_of(50, plan.GRID) == 56 and plugins.budget_of(48, plan.GRID) == 48
    assert plan.main_budgets(plan.QUICK, 384) == (32, 52, 196)


def test_the_plan_is_the_same_twice_and_keeps_to_its_minutes():
    small = (replace_profile(n_base=300, n_train=300, name="small"), 60)
    found = [planned(plan.FULL, (PROFILE, 400), small) for _ in range(2)]
    assert found[0].planned == found[1].planned and found[0].seconds <= 60 * plan.FULL.minutes
    assert {p.run.seed for p in found[0].planned if p.data == 1} <= {0, None}  # too few queries to compare by
    quick = planned(plan.QUICK, (PROFILE, 400))
    assert quick.seconds <= 60 * plan.QUICK.minutes and quick.left_out > 0
    ours = {p.run.contender.codec for p in quick.planned if p.run.contender.library == "vecpress"}
    assert len(ours) >= 5


def replace_profile(**changes) -> plan.Profile:
    return replace(PROFILE, **changes)


def test_ours_and_peers_take_turns():
    wanted = replace(SMALL, budgets=(4 * DIM,), seeds=(0,))
    found = planned(wanted, (replace_profile(dim=DIM), 400)).planned
    ours = [p.run.contender.library == "vecpress" for p in found]
    turns = 2 * min(sum(ours), len(ours) - sum(ours))
    assert turns >= 2 and ours[:turns] == [True, False] * (turns // 2)


def test_what_there_is_none_of():
    for change, words in (({"libraries": ("none",)}, "--library.*'none'"), ({"codecs": ("None",)}, "--codec.*'None'")):
        with pytest.raises(ValueError, match=words):
            planned(replace(plan.QUICK, **change), (PROFILE, 400))


def test_a_plug_in_must_be_one(tmp_path):
    (tmp_path / "broken.py").write_text("NAME = 'broken'\n")
    with pytest.raises(ValueError, match=r"broken\.py.*version, contenders"):
        plugins.found([tmp_path])


# ---- inputs


def test_development_queries_give_no_figures(tmp_path):
    folder = tmp_path / "medquad_minilm"
    folder.mkdir()
    queries = clustered(1, 1000, 8, draw=1)
    np.save(folder / "base.npy", clustered(1, 50, 8))
    np.save(folder / "queries.npy", queries)
    np.save(folder / "gt_ip.npy", np.zeros((1000, 10), np.int32))
    (folder / "qrels.json").write_text(json.dumps([[i % 50] for i in range(1000)]))
    with inputs.workspace() as space:
        ready = inputs.prepare(inputs.read(str(folder)), space / "0", 1)
        np.testing.assert_array_equal(ready.load("queries"), queries[300:])
        np.testing.assert_array_equal(ready.load("samples"), queries[:300])
        assert ready.data["n_query"] == 1000 and ready.data["n_figures"] == len(ready.bars) == 700
        assert [int(ids[0]) for ids in ready.relevant[:3]] == [0, 1, 2]  # of question 300 on
        np.testing.assert_array_equal(ready.load("train"), ready.load("base"))
    assert not space.exists()
    assert Path(tempfile.gettempdir()) in space.parents


def test_the_checksum_is_of_the_vectors(data):
    with inputs.workspace() as space:
        sums = []
        for at in range(3):
            if at == 2:
                base = np.load(data / "base.npy")
                base[17, 3] += 1
                np.save(data / "base.npy", base)
            sums.append(inputs.prepare(inputs.read(str(data)), space / str(at), 1).data["checksum"])
    assert sums[0] == sums[1] != sums[2]


def test_sets_that_no_vectors_can_meet_are_not_judged_by_labels(data):
    pairs = [[a, b] for a in range(25) for b in range(a)]
    np.save(data / "queries.npy", clustered(1, len(pairs), DIM, draw=1))
    np.save(data / "gt_ip.npy", np.zeros((len(pairs), 10), np.int32))
    (data / "qrels.json").write_text(json.dumps(pairs))
    with inputs.workspace() as space:
        assert inputs.prepare(inputs.read(str(data)), space / "0", 1).relevant is None


# ---- the command


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--quick", "--full"], "one of them"),
        (["--out", "results.json"], ".jsonl"),
        (["--seeds", "0"], "--seeds expected at least 1"),
        (["--budget", "x"], "--budget expected bytes"),
        (["--plugins", "nowhere"], "--plugins expected a folder, got 'nowhere'"),
        (["--library", "none", "--list"], "--library: there is no 'none'"),
        (["--codec", "None", "--list"], "--codec: there is no 'None'"),
    ],
)
def test_wrong_use_is_said(capsys, arguments, words):
    assert cli.main(["bench", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_the_list_shows_what_would_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["bench", "--quick", "--list", "--library", "vecpress", "--codec", "PQ", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {run["config"]["m"] for run in found["runs"]} >= {32, 48, 192} and found["missing"] == []
    assert not list(tmp_path.iterdir())


def test_a_file_of_others_is_left_alone(data, tmp_path):
    out = tmp_path / "notes.jsonl"
    out.write_text('{"what": "mine"}\n')
    with pytest.raises(ValueError, match="line 1: not a record of the suite"):
        suite.bench(replace(SMALL, data=(str(data),), libraries=("fake",)), out, None, Console())
    assert out.read_text() == '{"what": "mine"}\n'
