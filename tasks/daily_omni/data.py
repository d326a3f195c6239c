"""Daily-Omni's official metadata as records with the sound tracks (Lliar-liar/Daily-Omni at fccb838)."""

from __future__ import annotations

from audio_eval.data import OFFICIAL, Files, HubFiles, Record, SourceRow, Sources, opened, record, unlettered

GROUPS = ("Type", "video_category", "video_duration")


def _record(row: SourceRow) -> Record:
    """Items have no id: it is made of the video's id and the question's number among those on the video."""
    video = row.text("video_id")
    row.values["audio"] = f"Videos/{video}/{video}_audio.wav"
    choices = row.choices("Choice")
    plain, _ = unlettered(choices, "")
    if plain == choices and choices:
        row.problem("'Choice' has options without their letters")
    return record(
        id=f"{video}_{row.nth('video_id')}",
        **row.audio("audio"),
        question=row.text("Question"),
        choices=plain,
        answer=row.letter("Answer", plain),
        groups={name: row.label(name) for name in GROUPS},
        meta=row.keep("video_id", "content_parent_category", "content_fine_category"),
    )


AUDIO = Sources(
    {
        OFFICIAL: Files("daily_omni", "qa.json", "Videos", _record),
        # Videos.tar holds Videos/<id>/<id>_video.mp4 and _audio.wav: vllm-project/vllm-omni (its daily-omni benchmark)
        # reads both by these names, which the official test_model scripts use too.
        "liarliar/Daily-Omni": HubFiles(
            "liarliar/Daily-Omni", ("qa.json",), Files("", "qa.json", "Videos", _record), "Videos.tar", "_audio.wav"
        ),
    }
)
OPEN = opened(AUDIO)
