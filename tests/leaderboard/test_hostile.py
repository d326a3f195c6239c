"""Names come from other people: through every format they come out as text."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from markdown_it import MarkdownIt

from audio_eval.leaderboard import Row, terminal_table
from audio_eval.leaderboard.cells import cell, plain
from audio_eval.leaderboard.files import pages
from audio_eval.leaderboard.published import Published
from audio_eval.leaderboard.render.latex import latex_cell
from tests.hostile import NAMES, TEXTS
from tests.leaderboard.runs import make_run, rows_of


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "a", "rrrrwwwu")
    make_run(folder / "b", "rrrrrrwu", method="sft")
    make_run(folder / "c", "rrwwwwwu", audio="silence")
    return rows_of(folder)


def renamed(rows: list[Row], name: str) -> tuple[list[Row], list[Published]]:
    """The rows, with the name in place of every text that people choose."""
    changed = []
    for row in rows:
        runs = [
            replace(
                run, name=name, commit=name, flags={"limit": name}, versions={name: name},
                summary=run.summary.model_copy(update={
                    "model": name, "task": name, "prompt": name, "tags": [name], "note": name, "device": name,
                    "settings": {name: name}, "groups": {name: {name: next(iter(run.summary.groups["task"].values()))}},
                }),
            )
            for run in row.runs
        ]  # fmt: skip
        changed.append(replace(
            row, label=name, model=name, method=name, task=name, prompt=name, scorer=name, data_revision=name,
            tags=(name,), settings={name: name}, groups={name: 50.0}, runs=tuple(runs),
        ))  # fmt: skip
    figure = Published.model_construct(
        task=name, model=name, method=name, version=name, source=name, accuracy=50.0, groups={name: 1.0}
    )
    return changed, [figure]


def check(rows: list[Row], name: str) -> None:
    changed, published = renamed(rows, name)
    files = pages(changed, published, left_out=[name])
    for file, text in files.items():
        assert text.encode() and re.fullmatch(r"[A-Za-z0-9._-]+", file)
        if not file.endswith("html"):
            assert not _unseen(text), file
    assert not _unseen(terminal_table(changed))
    for file in files:
        if file.endswith(".md"):
            _check_markdown(files[file], name)
    table = next(text for file, text in files.items() if file.endswith(".csv"))
    for line in csv.DictReader(io.StringIO(table)):
        assert line["label"] in (plain(name), f"'{plain(name)}") and not line["label"].startswith(("=", "+", "-", "@"))
    assert json.loads(files["leaderboard.json"])["rows"][0]["label"] == name
    _check_latex(next(text for file, text in files.items() if file.endswith(".tex")))
    _check_html(files["index.html"], name)


def _unseen(text: str) -> set[str]:
    return {char for char in text if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


def _check_markdown(text: str, name: str) -> None:
    """As GitHub reads it: the tables have their columns, and there is no element that a name has made."""
    html = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    shown = re.sub(r"<a href=\"[A-Za-z0-9._-]+\.md\">", "<a>", html)  # the links to other pages
    assert not re.search(r"<(?!/?(table|thead|tbody|tr|t[hd]|h[1-6]|p|ul|ol|li|code|a)\b)", shown)
    assert not re.search(r"<(a|img)\s", shown) and "<script" not in shown
    if name.strip("\n") and (titles := re.search(r"<thead>.*?</thead>", html, re.DOTALL)):
        for row in re.findall(r"<tr>.*?</tr>", html.split("</table>")[0], re.DOTALL):
            assert len(re.findall(r"<t[hd]\b", row)) == len(re.findall(r"<th\b", titles.group()))


def _check_latex(text: str) -> None:
    """Without its escapes and our own commands no special character is left, and braces are balanced."""
    ours = (
        r"\\(begin|end)\{(table|tabular)\}(\{[lr]+\})?|\$\\(Delta|pm)\$"
        r"|\\(centering|small|toprule|midrule|bottomrule|caption|usepackage)\b"
    )
    words = r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|ldots)\{\}"
    for line in text.splitlines()[1:]:
        bare = re.sub(words, "", re.sub(ours, "", line))
        bare = re.sub(r"\\[&%$#_{}]", "", bare).removesuffix(r"\\")
        assert not set(re.sub(r" & | &$|^& ", "", bare)) & set("\\%$#_~^"), line
        assert bare.count("{") == bare.count("}")
        assert not re.match(r"\s*[\[*]", line)


def _check_html(text: str, name: str) -> None:
    island = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert island is not None and len(re.findall("<script", text)) == 3 + text.count("<script>`")
    (task,) = json.loads(island.group(1))["tasks"]
    assert task["name"] == plain(name) and task["boards"][0]["rows"][0]["label"] == plain(name)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_are_text_in_every_format(rows: list[Row], name: str) -> None:
    check(rows, name)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=TEXTS)
def test_any_name_is_text_in_every_format(rows: list[Row], name: str) -> None:
    check(rows, name)


@settings(max_examples=200)
@given(TEXTS)
def test_a_cell_is_the_text_for_a_reader(text: str) -> None:
    tokens = MarkdownIt("gfm-like", {"linkify": False}).render(f"| t |\n|---|\n| x{cell(text)}x |\n")
    read = re.search(r"<td>(.*)</td>", tokens)
    assert read is not None
    found = re.sub("<[^>]*>", "", read.group(1))
    for entity, char in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        found = found.replace(entity, char)
    assert found == f"x{plain(text)}x"


def test_latex_is_read_as_the_text() -> None:
    assert latex_cell("a_b & 5 % {x} \\y ~ ^ # $") == (
        r"a\_b \& 5 \% \{x\} \textbackslash{}y \textasciitilde{} \textasciicircum{} \# \$"
    )
    assert (latex_cell("[1cm]"), latex_cell("*")) == ("{}[1cm]", "{}*")


def test_a_run_with_such_names_is_shown_or_left_out(tmp_path: Path, capsys: Any) -> None:
    from audio_eval.cli.main import main

    for number, name in enumerate(NAMES):
        make_run(tmp_path / "runs" / str(number), "rw", method=name, tags=[name])
    assert main(["leaderboard", str(tmp_path / "runs"), "-o", str(tmp_path / "out")]) == 0
    told = capsys.readouterr()
    assert not _unseen(told.out + told.err)
