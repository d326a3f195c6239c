"""How often the ``choice`` rule reads an option that a response denies, and whether it reads the one beside it.

    python bench/denied_forms.py --data-dir DIR [--every N]

DIR is as for choice_forms.py. Every N-th option is put into every form of DENIED ("There is no {x}."; {L} is its
letter, {y} and {M} those of another option): it must not be chosen. AFFIRMED denies another option beside it, or sounds
like a denial and is none: it must be chosen. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import string
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from audio_eval.scoring import normalise, parse_choice

DENIED = """
There is no {x}. | There's no {x} here. | There isn't any {x}. | There is no sign of {x}. | No sign of {x}. | No {x}.
I don't hear {x}. | I do not hear {x}. | I can't hear any {x}. | I dont hear {x} | I don\u2019t hear {x}.
I hear no {x}.
I did not detect {x}. | There is no evidence of {x}. | Nothing suggests {x}. | Nothing here points to {x}.
It cannot be {x}. | It can't be {x}. | It can\u2019t be {x}. | It couldn't be {x}. | It must not be {x}.
It won't be {x}.
It is not {x}. | It isn't {x}. | This isn\u2019t {x}. | That's not {x}. | Not {x}. | Definitely not {x}.
It's never {x}.
The answer is not {x}. | The correct answer is not {x} | The answer is definitely not {x}. | The answer cannot be {x}.
I don't think it is {x}. | I do not think that the answer is {x}. | I don't believe it's {x}. | I won't say {x}.
Something rather than {x}. | Instead of {x}. | It is something other than {x}. | Unlike {x}. | As opposed to {x}.
I cannot tell whether it is {x}. | I can't tell if it's {x}. | I'm not sure if it is {x}. | It is unclear if it is {x}.
I am unsure whether it is {x}. | I don't know whether it is {x}. | It's hard to say whether it's {x}.
I doubt it's {x}.
I'm sorry, but I cannot tell whether this is {x}. | It may or may not be {x}. | I wonder whether it is {x}.
It is unlikely to be {x}. | It seems unlikely that the answer is {x}. | It is doubtful that it is {x}.
{x} is unlikely. | {x} is ruled out. | {x} can be ruled out. | {x} can be excluded. | {x} has been excluded.
{x} is not correct. | {x} is incorrect. | {x} is wrong. | {x} isn't right. | {x} is not the answer. | {x} must be wrong.
{x} is absent. | {x} is not heard. | {x} isn't there. | {x} cannot be heard. | {x} never occurs. | {x}: not heard.
{x} doesn't fit. | {x} does not match the audio. | {x} is the wrong answer. | {x} is the least likely option.
{x} is what I would rule out. | {x} would be wrong. | {x} is out of the question. | Choosing {x} would be a mistake.
Anything but {x}. | It is anything but {x}. | Every option but {x} is plausible. | All of them except {x}.
Excluding {x}.
The scene is without {x}. | It hardly sounds like {x}. | The audio lacks {x}. | It is far from {x}.
The clip is free of {x}.
I rule out {x}. | I'd rule {x} out. | I would exclude {x}. | We can exclude {x}. | Eliminate {x}. | Ruled out: {x}.
I would not choose {x}. | I wouldn't say {x}. | Never choose {x}. | It would be wrong to choose {x}. | Wrong: {x}.
If it were {x}, there would be more to hear. | Had it been {x}, I would have heard it.
Were it {x}, it would be louder.
Is it {x}? | Could it be {x} or something else? | {x}? I don't think so. | Does it sound like {x}?
It is neither {x} nor anything else. | Neither {x} nor {y}. | There is no {x} and no {y}. | {x} and {y} are not heard.
<answer>not {x}</answer> | Answer: not {x} | \\boxed{not {x}} | {"answer": "not {x}"}
{L}. {x} is wrong. | ({L}) {x} is not the answer. | Option {L} ({x}) is wrong. | Option {L}, {x}, is wrong.
The answer is not {L}. {x} | It is not {L}. | The answer is not {L}. | The answer isn't {L}. | The answer is not: {L}
Not {L}. | not option {L} | It is not option {L}. | I would not choose {L}. | I wouldn't choose option {L}.
Don't choose {L}.
{L} is wrong. | {L} is incorrect. | {L} is not correct. | Option {L} is out. | Option {L} can be ruled out. | {L}: wrong
Option {L} doesn't fit. | Option {L}: incorrect. | {L}. Wrong. | {L} isn't correct | I'd rule out option {L}.
Neither {L} nor {M}. | Anything but option {L}. | Every option except {L} | Rather than option {L}
Both {L} and {M} are wrong.
It can't be {L}. | I cannot tell whether it is {L}. | I'm not sure the answer is {L}. | Could the answer be {L}?
The answer is unlikely to be {L}. | If the answer were {L}, I would hear more. | The answer is not \\boxed{{L}}
It may seem like {x}, but it isn't. | It sounds like {x}; however, it is not. | {x}, which is wrong.
At first I thought {x}, but that is wrong. | Some might say {x}, but I disagree. | {x}? That can't be right.
One might expect {x}; that is not the case.
{x} was my first guess, but it turned out to be wrong. | Initially it resembles {x}, yet it is something different.
You could take it for {x}, though it is something else. | {x} (wrong) | {x} is a distractor.
A different sound from {x}. | {x} is the worst option. | I decline to choose {x}. | It is louder than {x}.
It may seem to be {L}, but it isn't. | {L}, which is wrong. | I considered {L}, but that is unlikely.
不是{x} | 这不是{x}。 | 没有{x} | 没有听到{x}。 | 并非{x}
不可能是{x}。 | 不像是{x}。 | 不应该是{x} | 排除{x}。 | 除了{x}。
无法确定是不是{x}。 | 无法判断是否为{x}。 | 不确定是{x}。 | 很难说是{x}。 | 如果是{x},声音会更大。 | 这是{x}吗?
{x}不对。 | {x}是错的。 | {x}不正确。 | {x}被排除了。 | {x}没有出现。 | {x}不是答案 | 而不是{x}
答案不是{x}。 | 答案不是{L}。 | 正确答案不是{L} | 不选{L} | 选项{L}是错的 | 选项{L}不对
"""
AFFIRMED = """
It is not {y} but {x}. | It's not {y}; it is {x}. | It is not {y}, it is {x}. | Not {y}, but {x}. | No {y}, only {x}.
{x} rather than {y} | {x}, not {y}. | {x} instead of {y} | {x} (not {y}) | {x} and not {y}. | {x} - not {y}
Instead of {y}, I hear {x}. | Rather than {y}, it is {x}. | Unlike {y}, it is {x}.
Although there is no {y}, it is {x}.
There is no {y}, so it is {x}. | There is no {y}. It is {x}. | I don't hear {y}, but I hear {x}.
It cannot be {y}. It is {x}.
{y} is wrong. The answer is {x}. | {y} can be ruled out, so the answer is {x}. | {y}? No, it is {x}.
Is it {y}? No. It is {x}.
{x} because there is no {y}. | {x}. There is no {y}. | I don't think it's {y}. I think it's {x}.
There is no doubt that it is {x}. | Without a doubt, {x}. | It is nothing but {x}. | It is none other than {x}.
I am not sure, but I think it is {x}. | If I had to choose, I would say {x}. | It can't be anything but {x}.
I hear {x}. | The sound is {x}. | It sounds like {x}. | It is most likely {x}. | Therefore, {x}.
The answer is {L}, not {M}. | The answer is not {M} but {L}. | Option {M} is wrong; option {L} is right. | {L}, not {M}
Not {M}. The answer is {L}. | Option {L} rather than option {M}. | I would not choose {M}; I choose {L}. | {L}. Not {M}.
Option {M} is ruled out, so it is {L}. | I'm not sure, but the answer is {L}. | Since it isn't {M}, the answer is {L}.
First I thought {y}, but it isn't. It is {x}. | At first it sounded like {y}, but it turned out to be {x}.
It might seem like {y}, but that's wrong: it is {x}. | It's more like {x} than {y}. | It is {x}, but it isn't loud.
I considered {y}, but {x} fits better. | It is {x}, but that is only a guess. | {x}. It isn't very clear.
The sound is louder than {y}; it is {x}. | It could be {y}, but that is unlikely. It is {x}. | {x}. Others may disagree.
不是{y},而是{x} | 没有{y},所以答案是{x}。 | 答案是{x},不是{y}。
答案是{L},不是{M} | 不选{M},选{L} | 选项{M}不对,选项{L}正确
"""


def forms(table: str) -> list[str]:
    """The forms of a table, one after another."""
    return [form.strip() for line in table.strip().splitlines() for form in line.split(" | ")]


def said(form: str, choices: Sequence[str], place: int) -> str | None:
    """A form about the option at a place; None where it needs another option and the item has none of another text."""
    rest = [*range(place + 1, len(choices)), *range(place)]
    others = [i for i in rest if choices[i].strip() and normalise(choices[i]) != normalise(choices[place])]
    if not others and ("{y}" in form or "{M}" in form):
        return None
    other = others[0] if others else place
    letters = string.ascii_uppercase
    for name, text in (
        ("{L}", letters[place]),
        ("{M}", letters[other]),
        ("{x}", choices[place]),
        ("{y}", choices[other]),
    ):
        form = form.replace(name, text)
    return form


def read(table: str, items: Iterable[Sequence[str]], every: int = 1) -> Iterator[tuple[str, str, Sequence[str], bool]]:
    """(form, response, choices, whether the option was chosen) for every form and every ``every``-th option.

    A letter is not said of items with an option that is one letter: there it is another option's text.
    """
    table_forms, seen = forms(table), 0
    for choices in items:
        lettered = all(len(normalise(choice)) > 1 for choice in choices)
        for place, choice in enumerate(choices):
            if not choice.strip():
                continue
            seen += 1
            for form in table_forms if seen % every == 0 else ():
                response = said(form, choices, place)
                if response is None or (not lettered and ("{L}" in form or "{M}" in form)):
                    continue
                index = parse_choice(response, choices)
                chosen = index is not None and normalise(choices[index]) == normalise(choice)
                yield form, response, choices, chosen


def main() -> None:
    """Print the forms that are misread with an example of each, and the JSON line."""
    sys.path.insert(0, str(Path(__file__).parent))
    from choice_forms import FILES, read_items

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with the official metadata")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th option (default: all)")
    args = parser.parse_args()
    items = [item.choices for name, file in FILES.items() if name != "mmau_original"
             for item in read_items(args.data_dir / file)]  # fmt: skip
    figures = {}
    for name, table, right in (("denied", DENIED, False), ("affirmed", AFFIRMED, True)):
        totals, wrong, shown = Counter[str](), Counter[str](), dict[str, str]()
        for form, response, choices, chosen in read(table, items, args.every):
            totals[form] += 1
            if chosen is not right:
                wrong[form] += 1
                shown.setdefault(form, f"{response!r} of {list(choices)}")
        for form, n in wrong.most_common():
            print(f"{name}: {100 * n / totals[form]:6.2f} % of {form!r}, such as {shown[form]}")
        figures[name] = {"forms": len(totals), "responses": totals.total(), "misread": wrong.total(),
                         "percent": round(100 * wrong.total() / totals.total(), 4)}  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
