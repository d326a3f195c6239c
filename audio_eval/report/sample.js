// One item: its question, its options with the votes on them, and what each run answered, with what was extracted
// marked in the text. The record is sample_record's (sample.py). Offers: sampleCard, fateChip, verdictOf.

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const letterAt = (place) =>
  place < LETTERS.length ? LETTERS[place] : LETTERS[Math.floor(place / 26) - 1] + LETTERS[place % 26];

/** The card of an item. `player` is the element that plays its recordings, if it has any. */
function sampleCard(record, { player = null } = {}) {
  return el(
    "article",
    { class: "sample" },
    el(
      "p",
      { class: "chips" },
      record.fate && fateChip(record.fate),
      Object.entries(record.groups).map(([kind, name]) => el("span", { class: "chip", title: kind }, name)),
      record.heard && el("span", { class: "chip warn" }, heardInstead(record.heard)),
    ),
    el("p", { class: "question" }, record.question || "The question is not part of this run's files."),
    player,
    record.options.length > 0 && optionsTable(record),
    record.options.length === 0 && record.gold !== null && el("p", {}, "Answer: ", el("strong", {}, record.gold)),
    record.options.length > 0 &&
      record.gold !== null &&
      record.gold_at === null &&
      el("p", { class: "note" }, "The answer is none of the options: ", el("strong", {}, record.gold)),
    el("div", { class: "arms" }, record.arms.map(armPart)),
    record.prompt &&
      el(
        "details",
        {},
        el("summary", {}, "The prompt as it was sent"),
        el("p", { class: "response", tabindex: "0" }, record.prompt),
      ),
  );
}

/** What became of an item between two runs, as a chip. */
function fateChip(fate) {
  const kind = { fixed: "better", broken: "worse" }[fate];
  return el("span", { class: `chip fate ${kind ?? ""}`.trim() }, fate);
}

/** How a response was scored, in words, and the class that colours it. */
function verdictOf(arm) {
  if (arm.readable === false) return [`unreadable: ${arm.why || "no answer"}`, "worse"];
  if (arm.right === null) return [arm.readable === null ? "not scored yet" : `not scored: ${arm.why}`, ""];
  return arm.right ? ["right", "better"] : ["wrong", "worse"];
}

function heardInstead(heard) {
  if (heard === "none") return "asked without the recording";
  return heard === "silence" ? "heard silence" : `heard the recording of ${heard}`;
}

function optionsTable(record) {
  const tallies = record.arms.flatMap((arm) => [
    arm.label && { title: `${arm.name}: votes on the label`, ...arm.label },
    arm.votes && { title: `${arm.name}: votes`, choice: arm.choice, ...arm.votes },
  ]);
  const voted = tallies.filter(Boolean);
  const rows = record.options.map((text, place) => ({ text, place }));
  const columns = [
    { key: "letter", title: "letter", cell: ({ place }) => letterAt(place) },
    { key: "option", title: "option", header: true, cell: ({ text }) => text },
    {
      key: "said",
      title: "named by",
      cell: ({ place }) => [
        place === record.gold_at && el("span", { class: "chip better" }, "✓ correct"),
        record.arms
          .filter((arm) => arm.choice === place)
          .map((arm) => [
            " ",
            el("span", { class: `chip ${place === record.gold_at ? "better" : "worse"}` }, arm.name),
          ]),
      ],
    },
    ...voted.map((tally, i) => ({
      key: `votes ${i}`,
      title: tally.title,
      cell: ({ place }) => voteBar(tally, place),
    })),
  ];
  return [
    dataTable({ caption: "Options", columns, rows, mark: ({ place }) => (place === record.gold_at ? "gold" : "") }),
    voted.map(votesTold),
  ];
}

const cast = (tally) => tally.counts.reduce((sum, n) => sum + n, 0) + tally.unreadable + tally.unplaced;

function voteBar(tally, place) {
  const width = 90,
    all = cast(tally),
    n = tally.counts[place];
  const text = tally.share ? n.toFixed(2) : String(n);
  return el(
    "span",
    { class: place === tally.choice ? "votes winner" : "votes" },
    svg(
      "svg",
      {
        class: "bar-of-votes",
        width,
        height: 10,
        viewBox: `0 0 ${width} 10`,
        "aria-hidden": "true",
        focusable: "false",
      },
      svg("rect", { width: all ? (width * n) / all : 0, height: 10 }),
    ),
    ` ${text}`,
  );
}

function votesTold(tally) {
  const parts = [];
  if (tally.unreadable) parts.push(`${tally.unreadable} of ${cast(tally)} named no option`);
  if (tally.unplaced)
    parts.push(`${tally.unplaced} named a letter in another order of the options, and are not counted`);
  return parts.length > 0 && el("p", { class: "note" }, `${tally.title}: ${parts.join("; ")}.`);
}

function armPart(arm) {
  const [verdict, kind] = verdictOf(arm);
  return el(
    "section",
    { class: "arm", "aria-label": arm.name },
    el("h3", {}, arm.name, " ", el("span", { class: `verdict-word ${kind}`.trim() }, verdict)),
    arm.response === null
      ? el("p", { class: "note" }, "No response yet.")
      : el(
          "p",
          { class: "response", tabindex: "0" },
          arm.response === "" ? el("em", {}, "an empty response") : withMarks(arm.response, arm.marks, arm.readable),
        ),
    arm.why && arm.readable !== false && el("p", { class: "note" }, `Read as: ${arm.why}`),
    arm.confidence !== null && el("p", { class: "note" }, `Confidence: ${compact(arm.confidence)}`),
    Object.entries(arm.measures).map(([name, value]) => el("p", { class: "note" }, `${name}: ${compact(value)}`)),
    arm.notes.map((note) => el("p", { class: "note" }, note)),
  );
}

// Places count characters, which in JavaScript may be two units of a string.
function withMarks(text, marks, readable) {
  const chars = Array.from(text),
    parts = [];
  let reached = 0;
  for (const [start, end] of marks) {
    parts.push(chars.slice(reached, start).join(""));
    parts.push(
      el(
        "mark",
        { title: readable === false ? "given as the answer" : "read as the answer" },
        chars.slice(start, end).join(""),
      ),
    );
    reached = end;
  }
  return [...parts, chars.slice(reached).join("")];
}
