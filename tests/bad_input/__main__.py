"""Write the corpus: ``python -m tests.bad_input FOLDER``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.bad_input import recordings, texts


def main(folder: Path) -> None:
    counts = {}
    for kind, cases in (("recordings", recordings.cases()), ("texts", recordings.named(texts.DOCUMENTS, ".json"))):
        (folder / kind).mkdir(parents=True)
        for name, write in cases.items():
            write(folder / kind / name)
        counts[kind] = len(cases)
    rows = [{**texts.ROW, key: value} for key in texts.ROW for value in texts.VALUES.values()]
    for number, row in enumerate(rows):
        data = folder / "metadata" / str(number) / "mmar"
        data.mkdir(parents=True)
        (data / "MMAR-meta.jsonl").write_bytes(texts.line(row))
    (folder / "run_files").mkdir()
    for number, text in enumerate(texts.RUN_FILES):
        (folder / "run_files" / f"{number}.yaml").write_bytes(text)
    counts |= {"metadata": len(rows), "run files": len(texts.RUN_FILES)}
    print(json.dumps(counts))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
