"""Names that would be more than text in one format or another."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = (
    "</script><script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "<!--<script>", "[x](javascript:alert(1))",
    "![x](http://x/y.png)", "<http://x.y>", "[x]: http://x", "a|b`c`\nd\\", "**bold** _em_ ~~s~~", "# title", "- item",
    "=HYPERLINK(\"http://x\")", "+1", "-1", "@SUM(A1)", "\t=1", "\x1b[31mred\x1b]8;;http://x\x07link\x1b]8;;\x07",
    "\u202egnp.exe\u2066", "a\u2028b\u2029c\x85d", "\ud800 alone", "&lt;&#60;", "\\input{/etc/passwd}", "\\\\[1cm]",
    "[1cm]", "*", "$x$ 5% a_b #1 {~^}", "%", "{{ 7 * 7 }}", "__proto__", "constructor", "",
)  # fmt: skip
SPECIAL = st.sampled_from("|`*_[]()<>&\\\"'=+-@%$#{}~^\n\r\t\x1b\x07\u202e\u2028\u200b\ud800")
TEXTS = st.text(st.characters(codec=None) | SPECIAL, max_size=20) | st.sampled_from(NAMES)  # type: ignore[arg-type]
