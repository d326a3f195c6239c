"""The words of denial and doubt in English and Chinese, as patterns for ``denial``.

All patterns read case-folded text in which mentions of options are masked (``MASK``).
"""

from __future__ import annotations

import re

from audio_eval.scoring.normal import UNSPACED

# A mention, and words that were judged as one phrase: private characters, which are in no word.
MASK, FILLER = "\ue000", "\ue001"


def _any(words: str) -> str:
    """A pattern for one of the words. "_" is white space within a word, and "*" any ending."""
    return "(?:" + "|".join(word.replace("_", r"\s+").replace("*", r"\w*") for word in words.split()) + ")"


_EXCLUDED = _any("exclud* eliminat* reject* dismiss* discard* omit* refut* disprov* contradict*")
_WRONG = _any("wrong incorrect false untrue inaccurate mistaken invalid")
_NEVER = _any("never hardly barely scarcely rarely seldom")
_NOT_VERB = _any("is are was were does do did has have had ca could wo would should must need ai") + "n'?t"

# Phrases whose words would be misread. These deny nothing,
HARMLESS = re.compile(
    rf"""\bno\s+{_any("doubt question mistake mistaking wonder matter hesitation uncertainty need")}\b
        (?!\s+(?:\w+\s+){{0,60}}not\b)
    |\b(?:without\s+(?:(?:a|any)\s+)?{_any("doubt question hesitation exception")}|beyond\s+(?:(?:a|any)\s+)?doubt)\b
    |\bnot\s+{_any("only just merely simply surprisingly")}\b
    |\b(?:nothing|none|no)\s+(?:else\s+)?{_any("but other_than else_than")}\b
    |(?:can(?:not|'t|\s+not)|could(?:n't|\s+not))\s+be\s+(?:any|some)thing\s+{_any("but other_than else_than")}\b
    |\bas\s+if\b|\bif\s+(?:not\s+)?(?:anything|i'm\s+not\s+mistaken)\b
    |(?:^|(?<=[.!?]\s))no\s*[,.;!:-]|(?<=[,;-]\s)no\s*,
    |(?<=\w)\s*,\s*{_any("however though honestly frankly of_course in_fact in_my_view in_my_opinion")}\s*,
    |不仅|不但|不过|不错|没错|毫无疑问|毫无疑义|无疑|没问题|不得不|无论|不管|不用说""",
    re.VERBOSE,
)
# and these are as good as "not".
AS_NOT = re.compile(r"\b(?:any|every|all)(?:thing|one|body)?\s+(?:\w+\s+){0,2}?(?:but|except)\b")

_RIGHT = _any("right correct true accurate so it the_case the_answer quite_right quite_it likely possible")
_SUBJECT = rf"""(?:{_any("it this that there he she they we i you these those which")}
    |{_any("the my our your a an its their his her this that")}\s+(?:[\w{MASK}'-]+\s+){{0,3}}?[\w{MASK}'-]+
    |(?:option\s+|choice\s+)?(?:[a-z]|{MASK}+))"""
_VERB = _any(
    """is are was were has have had can could must should would will may might do does did sound sounds seem seems hear
    heard hears think believe guess choose chose pick select say identify indicate indicates suggest suggests point
    points fit fits matches remain remains appear appears make makes play plays contain contains feature features"""
)
_NEW = rf"""(?:{_any("and so or then thus therefore hence")}\s+)?{_SUBJECT}
    (?:'(?:s|m|d|ll|re|ve)|\s+(?:{_any("*ly also still just only really then even")}\s+)?{_VERB})(?!\w)"""
_CONTRAST = rf"""(?:{_any("only just merely but so yet then thus hence since while though")}|rather(?!\s+than)
    |instead(?!\s+of))\b"""
# Where a clause ends; the group "end" is the end of a sentence. A comma ends one only before a new subject and verb or
# a contrast: "no cat, dog or bird" is one clause, "no cat, it is a dog" and "no cat, only a dog" are two.
BOUNDARY = re.compile(
    rf"""(?P<end>[.!?;](?=["')\]]*(?:\s|$))|[。\uff01\uff1f\uff1b\n])
    |\b(?:{_any("but because since whereas although therefore however")}|instead(?!\s+of))\b
    |(?:[,:(]|\s-)\s*(?=(?:{_CONTRAST}|{_NEW}))|\b(?:and|or|so)\s+(?={_NEW})
    |(?<=[{UNSPACED}])\s*[,:]|[,:](?=\s*[{UNSPACED}])
    |而是|但是|但|却|所以|因此|因为|那么|(?<!不)应该是|(?<!不)应是|只有|只是|反而|其实是|实际上是|(?<={MASK})(?=是\s*{MASK})""",
    re.VERBOSE,
)
# A clause that begins so ends at its comma: "Rather than a dog, a cat", "If I had to choose, B".
PRELIMINARY = re.compile(
    rf"""\W*(?:(?:and|so|but)\s+)?{
        _any('''rather_than instead_of without unlike except apart_from aside_from other_than if
    unless though while since as given despite when even in_the_absence_of excluding far_from having ruling_out after
    once not_being whether_or_not''')
    }\b[^,]*,""",
    re.VERBOSE,
)
# "If it were a dog, it would bark" supposes what is not so, unlike "If I had to choose, I would say a dog".
CONTRARY = re.compile(
    rf"""\b(?:if|unless)\b
    (?![^,]*\b(?:to\s+{_any("choose pick guess answer decide select say")}|must|forced|pressed|asked)\b)
    .*\b(?:were|had|would)\b|\bhad\s+(?:it|there|this)\b""",
    re.VERBOSE,
)

# What may stand between a word and the mention that it is about.
_LEAD = rf"""(?:{_any("a an the option choice like")}\s+)*["'(\[\uff08\u300c]*"""
# What denies or doubts the rest of its clause.
BEFORE = re.compile(
    rf"""\b(?:{
        _any('''not no nor neither nothing nobody none nowhere nope without cannot few little zero cant dont doesnt
        isnt whether if unless lest except* rule_out rules_out ruled_out ruling_out deny denies denied denying lack*
        absen* devoid free_of free_from misses is_missing are_missing was_missing instead_of in_place_of rather_than
        other_than apart_from aside_from save_for opposed_to opposite_of contrary_to unlike unlikely improbable declin*
        less_like implausible impossible doubt* unsure uncertain* unclear unknown unable wonder* unconvinced undecided
        fail_to fails_to failed_to refus* avoid* disagree* disbeliev* mistak* less_likely least_likely differ_from
        differs_from
        different_from distinct_from far_from difficult_to hard_to need_more insufficient inadequate suppose supposing
        imagine imagining sans minus''')
    }
    |different\s+(?:\w+\s+){{1,2}}from
    |{_NEVER}|{_NOT_VERB}|{_EXCLUDED}|{_WRONG}(?:\s+(?:answers?|options?|choices?|to|that)|ly)|too\s+\w+\s+to\s+be
    |(?:would|might|could)(?:'ve|\s+have))\b(?!-)
    |\bconsidered\s+{_LEAD}$
    |\bfirst\s+{_any("thought guess* impression")}|\b(?:at\s+first|initially)\s*,?\s+(?:(?:it|this|that|i)\s+)?
        {_any("thought sounded sounds seemed seems resembled resembles appeared appears suspected guessed assumed")}\b
    |^(?!.*\bless\b).*\bthan\s+{_LEAD}$
    |^\W*were\s+(?:it|this|that|there)\b|\b{_WRONG}\s*:|\w+n't\b|\bnon-$
    |不|没|無|无|未|非|否|别|勿|排除|除|难|缺少|缺乏|如果|若|假如|假设|要是|怀疑|错误|代替""",
    re.VERBOSE,
)

_BE = _any(
    """is are was were be been has have had can could will would should must may might does do did seem seems sound
    sounds appear appears look looks remain remains get gets feel feels prove proves stand stands"""
)
_HOW = _any(
    """*ly also even just in fact at all still yet most very the a an quite rather highly more so too to be been being
    have considered deemed"""
)
_REFUSED = rf"""(?:{
    _any('''not no neither nothing nowhere unlikely improbable implausible impossible doubtful questionable
    dubious uncertain unclear unsupported unfounded absent missing lacking inaudible unheard inconsistent incompatible
    unsuitable inappropriate irrelevant denied unlike crossed_out ruled_out less_likely least_likely far_from hard_to
    difficult_to mistake error distractor worst''')
}|{_NEVER}|{_EXCLUDED}|{_WRONG}|ruled\s+\w+\s+out
    |out(?=\s*(?:$|of\s+the\s+question)))\b"""
_JUDGED = rf"""(?:no|nope|{_WRONG}|absent|excluded|eliminated|rejected|ruled\s+out|impossible|unlikely|inaudible
    |not\s+(?:{_any("heard present audible there correct right possible likely this it supported found detected")}
      |(?:(?:the|a)\s+)?(?:(?:right|correct)\s+)?(?:answer|option|choice)))\b"""
# What denies the mention that it follows: a predicate ("is ruled out", "doesn't fit") or a bare judgement (": wrong").
AFTER = re.compile(
    rf"""["')\]~\s{MASK}]*(?:'s\b)?\s*
    (?:\((?!{_WRONG}\))[^)]*\)\s*|,\s*["']*{MASK}+["']*\s*,\s*|,\s*(?={_BE}\b|{_NOT_VERB}|can))?
    (?: (?:(?!{_any("and but because that which who or rather instead not no without so as")}\b)
            [\w'{MASK}-]+\s+){{0,6}}?
        (?: {_BE}\s+(?:{_HOW}\s+){{0,4}}{_REFUSED} | {_NOT_VERB}\b | can(?:not|'?t)\b | \w+n't\b
          | {_NEVER}\b(?!\s+(?:an?\s+|the\s+)?{MASK}) | lacks?\b | fails?\s+to\b | (?:contradict|conflict|disagree)s?\b
          | {_BE}\s+(?:what|something|the\s+one|the\s+option|one)\b
            .*\b{_any("not never *n't cannot exclud* rule_out ruled_out reject*")} )
    | [:,=>(-]*\s*(?:{_any("definitely clearly certainly surely")}\s+)?{_JUDGED}\s*[.!,)]*\s*$
    | -free\b | out\s*$ )""",
    re.VERBOSE,
)
AFTER_UNSPACED = re.compile(
    rf"""["')\]\s]*
    (?:的|声音|叫声|声|选项|乐器|音乐|这个|一项|项|答案|人|也|都|是|并|被|可以|应该|应当|可|显然|肯定|则|已经|已|就|和|与|或|(?<![a-z])[a-z](?![a-z])|,|、|\s)*
    (?:不|没有?|未|非|错|排除|缺席|无关)(?!(?:是|像)?[一个只条位]*\s*{MASK})(?!过)""",
    re.VERBOSE,
)
# What takes the whole clause before it back: "it may seem like a dog, but it isn't", "a dog. No, that is wrong".
RETRACTED = re.compile(
    rf"""[\s,.;:()\]"'-]*(?:{_any("but however yet though although while and")}\b[\s,]*)*
    (?:{_any("actually really clearly instead in_fact of_course no upon_reflection on_reflection after_all")}\b[\s,]*)*
    (?: (?:it|that|this|which|they|he|she)\b
        (?: (?:'s|\s+(?:is|was|are|were|would\s+be|turn(?:s|ed)\s+out\s+to\s+be|proved\s+to\s+be|must\s+be|seems))\s+
            (?:{_any("clearly actually really definitely probably simply just also likely quite in_fact")}\s+)*
            (?:not(?:\s+{_RIGHT})? | {_WRONG} | {_any("ruled_out impossible unlikely a_mistake an_error")}
              | (?:something|someone)\s+{_any("else different other")}
              | an?\s+different\s+{_any("sound thing one option answer instrument source")})
          | (?:\s+{_NOT_VERB}|\s+(?:can|could|do|does|did)\s*not)(?:\s+be)?(?:\s+{_RIGHT})?
          | \s+(?:doesn't|didn't|does\s+not|did\s+not)\s+{_any("fit match add_up hold work")} )
      | i\s+(?:strongly\s+|would\s+|must\s+)?disagree | i\s+was\s+{_WRONG} | (?:not\s+{_RIGHT} | {_WRONG})\b )
    (?:\s+{_any("at_all either though anymore here then after_all")})*\s*(?=[.,:;!)\n]|$)""",
    re.VERBOSE,
)
# What joins mentions of which the same is said: "a cat and a dog are not heard".
JOINED = re.compile(
    r"[\s,/&\])\"']*(?:\b(?:and|or|nor)\b|和|与|或|或者|、)?[\s(]*(?:(?:an?|the|option|choice)\s+)*[\"'(\[]*"
)

# Without one of these words, a word that begins so, or one of these characters nothing is denied.
WORDS = frozenset(
    {
        "no", "not", "nor", "non", "none", "nope", "never", "nothing", "nobody", "nowhere", "neither", "without",
        "cannot", "whether", "if", "unless", "lest", "few", "little", "zero", "sans", "minus", "hardly", "barely",
        "scarcely", "rarely", "seldom", "denies", "denied", "deny", "denying", "rule", "free", "instead", "place",
        "rather", "other", "apart", "aside", "save", "opposed", "opposite", "were", "have", "ve", "less", "least",
        "far", "difficult", "hard", "need", "too", "would", "but", "out", "dubious", "had", "t", "cant", "dont",
        "doesnt", "isnt", "disagree", "than", "worst", "something", "someone", "some", "first", "initially",
        "considered",
    }
)  # fmt: skip
STEMS = (
    "except", "exclud", "eliminat", "reject", "dismiss", "discard", "disprov", "disagree", "disbel", "distinct", "omit",
    "refut", "contra", "conflict", "ruled", "rules", "ruling", "lack", "absen", "devoid", "miss", "unlike", "unsure",
    "uncert", "unclear", "unknown", "unable", "unconv", "undecid", "unsupp", "unfound", "unheard", "unsuit", "untrue",
    "impossib", "improb", "implaus", "incorr", "inaud", "incons", "incomp", "inapp", "inacc", "invalid", "irrel",
    "doubt", "wonder", "fail", "refus", "avoid", "mistak", "wrong", "false", "differ", "question", "crossed", "insuff",
    "inadeq", "suppos", "imagin", "error", "declin", "distract",
)  # fmt: skip
CHARACTERS = re.compile(r"[?\uff1f不没無无未非否别勿除难缺若如假要怀错]")
