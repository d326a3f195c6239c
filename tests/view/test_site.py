"""What the server of pages sends, and to whom."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from audio_eval.owner import lock_dir, owner_of
from audio_eval.runlog import RunLog
from audio_eval.runlog.records import ResponseRecord
from audio_eval.view.directories import Directories
from tests.compare.runs import write_run
from tests.leaderboard.runs import make_run
from tests.view.served import recorded_run, served


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    recorded_run(folder / "direct", "rrww", folder / "sound.wav")
    recorded_run(folder / "ttrl", "rwrr", folder / "sound.wav", method="aqa_ttrl")
    write_run(folder / "begun", "rr", method="grpo")
    (folder / "begun" / "result.json").unlink()
    make_run(folder / "broken", "rw")
    (folder / "broken" / "result.json").write_text("{")
    return folder


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    with served([runs]) as address:
        yield address


def data_of(text: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def key(runs: Path, name: str) -> str:
    return next(key for key, folder in Directories([runs]).folders().items() if folder.name == name)


def sound_of(address: str, runs: Path, name: str = "direct") -> str:
    """The address of the sound of a run's first item, as its report has it."""
    report = requests.get(f"{address}/runs/{key(runs, name)}/")
    [sound] = data_of(report.text)["sounds"]
    assert sound["details"] == sound["src"].replace(".mp3", ".json")
    return f"{address}/runs/x/{sound['src']}"


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1", 200), ("localhost:8000", 200), ("evil.example", 400), ("127.0.0.1.evil.example", 400), ("", 400),
     ("[::1]", 400), ("0.0.0.0", 400)],
)  # fmt: skip
def test_only_this_machine_by_its_own_name(address: str, host: str, status: int) -> None:
    assert requests.get(f"{address}/", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    "path",
    ["", "secrets/", "secret/runs/%2e%2e/", "secret/sounds/..%2f..%2fsound.mp3", "secret/runs/000000000000/",
     "secret/sounds/%2fetc%2fpasswd.mp3", "secret/compare/a/b/", "secret/direct/result.json"],
)  # fmt: skip
def test_nothing_without_the_secret_and_nothing_by_a_path(address: str, path: str) -> None:
    host = address.removesuffix("secret")
    request = requests.Request("GET", host).prepare()
    request.url = host + path  # as it is, not made normal
    assert requests.Session().send(request).status_code == 404


def test_nothing_is_changed_by_a_request_and_no_other_site_may_show_it(address: str) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert requests.request(method, f"{address}/").status_code == 405
    found = requests.get(f"{address}/", headers={"Origin": "http://evil.example"}).headers
    assert found["Cross-Origin-Resource-Policy"] == found["Cross-Origin-Opener-Policy"] == "same-origin"
    assert found["Content-Security-Policy"] == "frame-ancestors 'none'" and "Access-Control-Allow-Origin" not in found
    assert found["X-Content-Type-Options"] == "nosniff" and "server" not in found
    assert requests.get(f"{address}/nothing").headers["X-Content-Type-Options"] == "nosniff"


def test_the_port_is_closed_to_other_machines(address: str) -> None:
    addresses = [a.address for of in psutil.net_if_addrs().values() for a in of if a.family == socket.AF_INET]
    own = next((address for address in addresses if not address.startswith("127.")), None)
    if own is None:
        pytest.skip("this machine has no address besides the loopback's")
    with pytest.raises(OSError):
        socket.create_connection((own, urlsplit(address).port), timeout=2)


def test_ranges_of_a_sound(address: str, runs: Path) -> None:
    where = sound_of(address, runs)
    whole = requests.get(where)
    assert whole.status_code == 200 and whole.headers["Accept-Ranges"] == "bytes"
    assert whole.headers["Content-Type"] == "audio/mpeg" and len(whole.content) > 2000

    def part(wanted: str) -> tuple[int, bytes, str | None]:
        found = requests.get(where, headers={"Range": f"bytes={wanted}"})
        return found.status_code, found.content, found.headers.get("Content-Range")

    size = len(whole.content)
    assert part("100-199") == (206, whole.content[100:200], f"bytes 100-199/{size}")
    assert part("1000-") == (206, whole.content[1000:], f"bytes 1000-{size - 1}/{size}")
    assert part("-10") == (206, whole.content[-10:], f"bytes {size - 10}-{size - 1}/{size}")
    assert part(f"{size}-")[::2] == (416, f"bytes */{size}")
    assert part("x-y")[0] == 400 and requests.get(where, headers={"Range": "lines=1-2"}).status_code == 400
    details = requests.get(where.replace(".mp3", ".json")).json()
    assert details["seconds"] == 2.0 and details["mel"].startswith("data:image/png;base64,")


def test_a_file_that_is_no_sound_does_not_leave(tmp_path: Path) -> None:
    """An imported run may name any file with its right digest."""
    secret = tmp_path / "key.pem"
    secret.write_text("-----BEGIN PRIVATE KEY-----")
    recorded_run(tmp_path / "runs" / "imported", "r", secret)
    with served([tmp_path / "runs"]) as address:
        where = sound_of(address, tmp_path / "runs", "imported")
        assert requests.get(where).status_code == 404
        details = requests.get(where.replace(".mp3", ".json"))
        assert "not audio" in details.json()["note"] and "PRIVATE" not in details.text


def test_a_recording_that_has_changed_is_not_played(tmp_path: Path) -> None:
    recorded_run(tmp_path / "runs" / "direct", "r", tmp_path / "a.wav")
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:-2] + b"12")
    with served([tmp_path / "runs"]) as address:
        where = sound_of(address, tmp_path / "runs")
        assert requests.get(where).status_code == 404
        assert "sha256" in requests.get(where.replace(".mp3", ".json")).json()["note"]


def test_a_page_has_a_tag_until_the_run_goes_on(tmp_path: Path) -> None:
    write_run(tmp_path / "begun", "rr", method="grpo")
    (tmp_path / "begun" / "result.json").unlink()
    with served([tmp_path]) as address:
        where = f"{address}/runs/{key(tmp_path, 'begun')}/"
        page = requests.get(where)
        tag = page.headers["ETag"]
        assert (
            f'<meta name="stamp" content={tag}>' in page.text and page.headers["Cache-Control"] == "private, no-cache"
        )
        assert requests.head(where).headers["ETag"] == tag and requests.head(where).text == ""
        assert requests.get(where, headers={"If-None-Match": tag}).status_code == 304
        RunLog(tmp_path / "begun").responses.append([ResponseRecord(id="q1", response="more")])
        assert requests.head(where).headers["ETag"] != tag
        changed = requests.get(where, headers={"If-None-Match": tag})
        assert changed.status_code == 200 and "more" in changed.text
        first = requests.head(f"{address}/").headers["ETag"]
        make_run(tmp_path / "new", "rw")
        assert requests.head(f"{address}/").headers["ETag"] != first


def test_every_directory_is_listed_with_its_state(address: str, runs: Path) -> None:
    listed = {run["name"]: run for run in data_of(requests.get(f"{address}/").text)["runs"]}
    states = {name: run["state"] for name, run in listed.items()}
    assert states == {"direct": "finished", "ttrl": "finished", "begun": "interrupted", "broken": "left out"}
    assert "result.json' is damaged" in listed["broken"]["why"] and listed["broken"]["report"] is None
    assert listed["begun"]["report"] == f"runs/{key(runs, 'begun')}/" and listed["begun"]["method"] == "grpo"
    assert listed["ttrl"]["compared"] == f"compare/{key(runs, 'direct')}/{key(runs, 'ttrl')}/"
    assert requests.get(f"{address}/{listed['ttrl']['compared']}").status_code == 200


def test_what_cannot_be_shown_says_why(address: str, runs: Path) -> None:
    refused = requests.get(f"{address}/compare/{key(runs, 'direct')}/{key(runs, 'begun')}/")
    assert refused.status_code == 422 and "not finished" in refused.text
    broken = requests.get(f"{address}/runs/{key(runs, 'broken')}/")
    assert broken.status_code == 422 and "Traceback" not in broken.text


def test_under_way_is_who_holds_the_directory(tmp_path: Path) -> None:
    assert owner_of(tmp_path) is None
    with lock_dir(tmp_path):
        assert owner_of(tmp_path) == f"process {os.getpid()} on {socket.gethostname()}"
    assert owner_of(tmp_path) is None
    (tmp_path / ".owner").write_text(f"process 999999999 on {socket.gethostname()}")
    assert owner_of(tmp_path) is None, "it was killed"
    (tmp_path / ".owner").write_text("process 1 on elsewhere")
    assert owner_of(tmp_path) == "process 1 on elsewhere"


def test_a_fault_of_ours_is_one_line(
    address: str, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fault(*_: object, **__: object) -> str:
        raise KeyError("<b>")

    monkeypatch.setattr("audio_eval.report.page.report_page", fault)
    failed = requests.get(f"{address}/runs/{key(runs, 'ttrl')}/")
    assert failed.status_code == 500 and "KeyError: &#39;&lt;b&gt;&#39;" in failed.text
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and re.fullmatch(r"audio-eval view: KeyError: '<b>' \(test_site.py:\d+\)", said[0])
