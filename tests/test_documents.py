"""The documents say what the code does: examples run, links lead somewhere, generated tables are fresh, names exist."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vecpress as vp
from vecpress import codec as codec_module
from vecpress import container, dispatch, parse
from vecpress.cli.command import COMMANDS

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(p for p in ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")) + [ROOT / "bench" / "README.md"]


def blocks(name: str, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / name).read_text(), re.DOTALL | re.MULTILINE)


def test_the_examples_of_the_readme_run_when_pasted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    example, measure = blocks("README.md")
    assert len(example.splitlines()) <= 12
    scope: dict = {}
    exec(example, scope)
    assert capsys.readouterr().out.startswith("recall 10@10: 0.8")
    assert len(scope["index"]) == 6000 and scope["scores"].shape == (400, 10)
    exec(measure, scope)
    assert scope["figures"].n == 2000 and "recall 10@10" in capsys.readouterr().out


def test_the_page_of_recurrent_codes_runs_when_pasted(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    for example in blocks("docs/recurrent.md"):
        exec(example, scope)
    assert vp.load("codec.vpz") == scope["trained"]
    found = [vp.recall(scope[name], scope["true_ids"]) for name in ("ids", "both", "coded_ids")]
    assert found == sorted(found, reverse=True) and found[0] > 0.75
    assert "new queries, old codes" in capsys.readouterr().out


def test_the_readme_has_the_two_commands():
    text = (ROOT / "README.md").read_text()
    assert "    pip install . && vecpress demo\n" in text
    assert '    pip install -e ".[test]" && pytest\n' in text  # .ci/run takes it from there


def test_the_commands_of_the_readme_are_understood(tmp_path, monkeypatch, capsys):
    from vecpress import cli

    monkeypatch.chdir(tmp_path)
    np.save("base.npy", vp.datasets.demo().base[:700])
    np.save("queries.npy", vp.datasets.demo().queries[:3])
    text = (ROOT / "README.md").read_text()
    lines = [line.strip() for line in text.splitlines() if line.startswith("    vecpress ")]
    commands = [command.split()[1:] for line in lines for command in line.split(" && ")]
    assert {command[0] for command in commands} == set(COMMANDS) - {"demo"}
    for command in commands:
        assert cli.main(command) == 0, capsys.readouterr().err


@pytest.mark.skipif(not list((ROOT / "bench" / "results").glob("demo-*.json")), reason="there is no measurement")
def test_the_table_of_the_readme_is_that_of_the_newest_measurement():
    done = subprocess.run([sys.executable, "-m", "bench.readme_table", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    text = path.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        place = (path.parent / file).resolve() if file else path
        assert place.exists(), f"{target} leads nowhere"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", place.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{target}: there is no heading {anchor}"


@pytest.mark.parametrize("path", [p for p in DOCUMENTS if p.name != "CHANGELOG.md"], ids=lambda p: p.name)
def test_paths_in_documents_exist(path):
    for name in re.findall(r"`((?:vecpress|csrc|tests|bench|docs|kernels)/[\w./]*)`", path.read_text()):
        assert (ROOT / name).exists() or list(ROOT.glob(name.rstrip("/") + "*")), f"{name} does not exist"


def test_every_codec_is_documented():
    for name in ("README.md", "docs/format.md"):
        text = (ROOT / name).read_text()
        for cls in vp.codecs():
            if cls.__module__.startswith("vecpress."):
                assert f"`{cls.__name__}" in text, f"{name} does not mention {cls.__name__}"


def test_every_scan_and_module_is_in_the_architecture():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for scan in ("lut4", "lut8", "dot", "trellis", "hamming", "sdc", "flat"):
        assert scan in dispatch.operations() and f"| `{scan}` |" in text
    for path in [*(ROOT / "vecpress").glob("*.py"), *(ROOT / "vecpress").glob("*/")]:
        if not path.name.startswith("__"):
            assert path.name in text, f"ARCHITECTURE.md does not say what {path.name} is"


def test_every_decision_is_listed():
    listed = (ROOT / "docs" / "decisions" / "README.md").read_text()
    for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"):
        assert f"]({path.name})" in listed, f"{path.name} is not listed"


def test_the_format_names_every_key_and_dtype():
    text = (ROOT / "docs" / "format.md").read_text()
    for key in parse.INDEX_KEYS | {"store"} | parse.KEYS | container.OWN_KEYS:
        assert f"`{key}`" in text
    for code in container.DTYPES.values():
        assert re.search(rf"\b{code}\b", text)
    for cls in vp.codecs():
        if cls.__module__.startswith("vecpress."):
            (row,) = re.findall(rf"^\| `{cls.__name__}` \|.*$", text, re.MULTILINE)
            learned = {name for codec in cls.examples() for name in codec.state if not name.startswith("inner_")}
            assert all(f"`{name}`" in row for name in learned)
            assert all(name in row for name in inspect.signature(cls).parameters)
    assert f"format version {container.FORMAT_VERSION}\n" in text


def test_the_format_can_be_read_as_it_says(tmp_path, monkeypatch):
    pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    x = np.asarray(vp.datasets.demo().base[:700], np.float32)
    index = vp.Index(vp.PQ(m=32, n_bits=4).fit(x))
    index.add(x)
    index.save("index.vpz")
    scope: dict = {}
    exec(blocks("docs/format.md")[0], scope)
    np.testing.assert_array_equal(scope["codes"], index.codes(index.ids))


def test_the_layout_formula_of_the_format():
    rng = np.random.default_rng(0)
    for head, group, size in ((0, 1, 5), (1, 2, 5), (3, 4, 11), (2, 1, 2)):
        codes = rng.integers(0, 256, (70, size), np.uint8)
        data = vp.ops.Blocks.pack(codes, head, group).data
        for row, j in ((0, 0), (1, size - 1), (63, size // 2), (69, size - 1)):
            r, p = row % 64, j - head
            at = 64 * j + r if j < head else 64 * (head + p - p % group) + r * group + p % group
            assert data[row // 64, at] == codes[row, j]


def test_the_codec_of_the_recipe_is_a_codec(monkeypatch, tmp_path):
    monkeypatch.setattr(codec_module, "_codecs", dict(codec_module._codecs))
    (source,) = blocks("CONTRIBUTING.md")
    scope: dict = {"__name__": "levels"}
    exec(source.replace("from __future__ import annotations\n", ""), scope)
    cls = scope["Levels"]
    assert cls in vp.codecs()
    data = vp.datasets.demo()
    for codec in cls.examples():
        codec.fit(data.base)
        codes = codec.encode(data.base[:500])
        np.testing.assert_array_equal(codec.encode(codec.decode(codes)), codes)
        index = vp.Index(codec)
        index.add(data.base)
        _, ids = index.search(data.queries, 10)
        _, true_ids = vp.exact(data.queries, data.base, 10, codec.metric)
        assert vp.recall(ids, true_ids) > 0.95
        codec.save(tmp_path / "c.vpz")
        assert vp.load(tmp_path / "c.vpz") == codec


def test_the_changelog_knows_the_public_names():
    text = (ROOT / "CHANGELOG.md").read_text()
    internal = {"Codec", "Query", "codec_class", "codecs", "datasets", "load"} | {
        name for name in vp.__all__ if inspect.isclass(getattr(vp, name)) and issubclass(getattr(vp, name), Exception)
    }
    for name in set(vp.__all__) - internal:
        assert f"`{name}`" in text, f"CHANGELOG.md does not mention {name}"
