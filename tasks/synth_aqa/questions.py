"""Question kinds of synth_aqa: for each a family of phrasings, a pool of options, and how people say the answer.

The first ``SEEN`` phrasings of a kind occur in the training split; validation and test draw from the whole family.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import scenes

SEEN = 4


@dataclass(frozen=True)
class Kind:
    """One kind of question. ``spoken`` maps an answer to how it is said in free words."""

    domain: str
    category: str
    phrasings: tuple[str, ...]
    spoken: dict[str, str]

    @property
    def pool(self) -> tuple[str, ...]:
        """Every answer of this kind: the options are drawn from it."""
        return tuple(self.spoken)


PERCEPTION, REASONING = "Perception", "Reasoning"
_DIGITS = dict(zip(scenes.NUMBERS, "12345", strict=True))


def _spoken(template: str, words: dict[str, str]) -> dict[str, str]:
    return {answer: template.format(word) for answer, word in words.items()}


_SOURCE_WORDS = {
    "bell": "something metal being struck",
    "drum": "a deep thump",
    "whistle": "a steady high tone",
    "buzzer": "a harsh electric tone",
    "hiss": "a burst of air",
    "chirp": "a small bird",
}

# fmt: off
KINDS: dict[str, Kind] = {
    "count": Kind(
        "sound",
        REASONING,
        (
            "How many sound events are there?", "How many times does a sound occur?", "Count the sounds in the clip.",
            "How many separate sounds do you hear?", "What is the number of sounds in this recording?",
            "How often does something sound?",
        ),
        _spoken("I hear {} of them.", _DIGITS),
    ),
    "source": Kind(
        "sound",
        PERCEPTION,
        (
            "What makes the sound?", "Which sound is this?", "What is the source of the sound?", "What do you hear?",
            "Which source can be heard in the recording?", "Identify the sound source.",
        ),
        _spoken("It sounds like {}.", _SOURCE_WORDS),
    ),
    "first_sound": Kind(
        "sound",
        REASONING,
        (
            "Which sound comes first?", "What is heard first?", "What is the first sound?",
            "Which sound starts the clip?", "What sounds at the beginning of the recording?",
            "Which source is heard before the others?",
        ),
        _spoken("It starts with {}.", _SOURCE_WORDS),
    ),
    "last_sound": Kind(
        "sound",
        REASONING,
        (
            "Which sound comes last?", "What is heard last?", "What is the last sound?", "Which sound ends the clip?",
            "What sounds at the end of the recording?", "Which source is heard after the others?",
        ),
        _spoken("It ends with {}.", _SOURCE_WORDS),
    ),
    "loudness": Kind(
        "sound",
        PERCEPTION,
        (
            "How does the loudness change?", "What happens to the volume?", "How does the volume develop?",
            "Does the clip get louder or quieter?", "Which best describes the loudness over time?",
            "How does the level of the sounds evolve?",
        ),
        {
            "getting louder": "The volume goes up.", "getting quieter": "The volume goes down.",
            "staying the same": "The volume does not change.",
        },
    ),
    "regularity": Kind(
        "sound",
        REASONING,
        (
            "Are the sounds evenly spaced?", "Is the rhythm regular or irregular?",
            "How are the sounds spaced in time?", "Is the spacing regular?",
            "Which best describes the timing of the sounds?", "What is the rhythm of the events like?",
        ),
        {"regular": "They come at even intervals.", "irregular": "The gaps between them differ."},
    ),
    "direction": Kind(
        "music",
        PERCEPTION,
        (
            "How does the pitch move?", "What does the melody do?", "In which direction does the melody go?",
            "How does the pitch change?", "Which best describes the contour of the melody?",
            "What is the direction of the notes?",
        ),
        {
            "rising": "The notes go up.", "falling": "The notes go down.", "staying level": "The notes repeat.",
            "rising then falling": "The notes go up and come back.",
        },
    ),
    "instrument": Kind(
        "music",
        PERCEPTION,
        (
            "Which instrument is playing?", "What instrument do you hear?", "What is the instrument?",
            "Which instrument plays the melody?", "On which instrument is this performed?",
            "Identify the instrument in the recording.",
        ),
        _spoken(
            "It is played on {}.",
            {
                "flute": "a soft pipe", "clarinet": "a hollow reed", "violin": "a bowed string",
                "guitar": "a plucked string", "organ": "a set of large pipes",
            },
        ),
    ),
    "register": Kind(
        "music",
        PERCEPTION,
        (
            "In which register is the melody?", "How high are the notes?", "What is the pitch range?",
            "Is the melody low or high?", "Which register does the music use?", "Where does the melody lie?",
        ),
        {"low": "It is deep.", "middle": "It is in between.", "high": "It is bright and thin."},
    ),
    "tempo": Kind(
        "music",
        PERCEPTION,
        (
            "What is the tempo?", "How fast is the music?", "How quick are the notes?",
            "What is the speed of the melody?", "Which best describes the pace of the music?",
            "At what tempo is this played?",
        ),
        {"slow": "The notes take their time.", "medium": "The pace is moderate.", "fast": "The notes are quick."},
    ),
    "texture": Kind(
        "music",
        REASONING,
        (
            "Are there single notes or chords?", "Is this a melody of single notes or of chords?",
            "What is the texture of the music?", "Does each step have one note or several?",
            "Which best describes the harmony?", "How many notes sound together?",
        ),
        {"single notes": "One tone at a time.", "chords": "Several tones together."},
    ),
    "interval": Kind(
        "music",
        REASONING,
        (
            "How far apart are the notes?", "Does the melody move in steps or leaps?", "What are the intervals like?",
            "How large are the intervals?", "Which best describes the distance between the notes?",
            "By how much does the pitch move?",
        ),
        {"small steps": "The pitch moves a little.", "large leaps": "The pitch jumps far."},
    ),
    "vowel": Kind(
        "speech",
        PERCEPTION,
        (
            "Which vowel is spoken?", "What vowel do you hear?", "What is the vowel?",
            "Which vowel does the voice say?", "Which vowel sound is repeated in the recording?",
            "Identify the vowel.",
        ),
        _spoken("It rhymes with {}.", {"ah": "spa", "ee": "tea", "oo": "shoe", "eh": "yeah", "oh": "snow"}),
    ),
    "voice": Kind(
        "speech",
        PERCEPTION,
        (
            "Who is speaking?", "Whose voice is this?", "What kind of voice is it?", "Which speaker do you hear?",
            "Which best describes the speaker?", "To whom does the voice belong?",
        ),
        {"man": "It is a deep adult voice.", "woman": "It is a higher adult voice.", "child": "It is a young voice."},
    ),
    "syllables": Kind(
        "speech",
        REASONING,
        (
            "How many syllables are spoken?", "Count the syllables.", "How many syllables do you hear?",
            "How many syllables does the voice say?", "What is the number of syllables in the utterance?",
            "Of how many syllables is the utterance made?",
        ),
        _spoken("I count {} of them.", _DIGITS),
    ),
    "intonation": Kind(
        "speech",
        REASONING,
        (
            "What is the intonation?", "How does the voice move?", "Does the voice rise or fall?",
            "What does the pitch of the voice do?", "Which best describes the intonation of the speaker?",
            "How does the utterance end?",
        ),
        {
            "rising like a question": "The voice goes up.", "falling like a statement": "The voice goes down.",
            "flat": "The voice does not move.",
        },
    ),
    "speakers": Kind(
        "speech",
        REASONING,
        (
            "How many speakers are there?", "How many people speak?", "How many voices do you hear?",
            "Is there one speaker or are there two?", "What is the number of speakers in the recording?",
            "By how many people is this spoken?",
        ),
        {"one speaker": "The same person all along.", "two speakers": "The person changes."},
    ),
}
# fmt: on
