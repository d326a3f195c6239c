// The verdict, the figures of both runs, and what became of the items. Offers: verdictPart, figuresPart, pointsText,
// differenceColumns, ITEMS.

const ITEMS = { view: "", show: "", group: "", q: "", item: "", sort: "" }; // the state in which all items are shown

function verdictPart({ runs, verdict, warnings }) {
  return [
    el(
      "p",
      { class: "runs" },
      runs.map((run, i) => [
        el("span", { class: "chip" }, "AB"[i]),
        run.report ? el("a", { href: run.report }, run.label) : el("span", {}, run.label),
      ]),
    ),
    verdict.map((sentence, i) => el("p", { class: i === 0 ? "verdict" : null }, sentence)),
    warnings.length > 0 &&
      el(
        "ul",
        { class: "warnings", "aria-label": "To know before" },
        warnings.map((text) => el("li", {}, text)),
      ),
  ];
}

// What a number of items won, or lost, shows: of all, and of the two parts.
const BEHIND = [
  { won: "won", lost: "lost" },
  { won: "unreadable-right", lost: "right-unreadable" },
  { won: "wrong-right", lost: "right-wrong" },
];

function figuresPart({ figures, ofReadable, became, alike, items }, now, state) {
  const rows = figures.map((row, i) => ({ ...row, behind: BEHIND[i] }));
  const columns = [
    { key: "title", title: "figure", header: true, cell: (row) => row.title },
    { key: "a", title: "A", right: true, cell: (row) => row.a },
    { key: "b", title: "B", right: true, cell: (row) => row.b },
    ...differenceColumns(rows, (row, key) => state.link({ ...ITEMS, show: row.behind[key] })).map((column) => ({
      ...column,
      order: null,
    })),
  ];
  return [
    el(
      "div",
      {},
      dataTable({ caption: "Figures of both runs", columns, rows }),
      el("p", { class: "note" }, `Right of the readable: A ${ofReadable[0]}, B ${ofReadable[1]}.`),
    ),
    el(
      "div",
      {},
      matrix(became, now, state),
      el("p", { class: "note" }, `Both chose the same option in ${alike} of ${items.length} items.`),
    ),
  ];
}

/** The nine outcomes of an item in A and in B; each number shows its items. */
function matrix(became, now, state) {
  const names = Object.keys(became),
    kinds = {
      right: { wrong: "worse", unreadable: "worse" },
      wrong: { right: "better" },
      unreadable: { right: "better" },
    };
  const columns = [
    { key: "a", title: "items", header: true, cell: (a) => `A ${a}` },
    ...names.map((b) => ({
      key: b,
      title: `B ${b}`,
      right: true,
      cell: (a) => {
        const show = `${a}-${b}`;
        return el(
          "a",
          {
            href: state.link({ ...ITEMS, show }),
            class: kinds[a][b] ?? null,
            "aria-current": now.show === show ? "true" : null,
            "aria-label": `${counted(became[a][b])} ${a} in A and ${b} in B`,
            "data-focus": show,
          },
          String(became[a][b]),
        );
      },
    })),
  ];
  return dataTable({ caption: "Items by what became of them in A and in B", columns, rows: names });
}

const counted = (n) => `${n} ${n === 1 ? "item" : "items"}`;

const pointsText = ({ low, mid, high }) => `${signedText(mid)} [${signedText(low)}, ${signedText(high)}]`;

function signedText(points) {
  const text = points.toFixed(1);
  return points > 0 && Number(text) > 0 ? `+${text}` : Number(text) === 0 ? "+0.0" : text;
}

/**
 * B - A as a bar and as text, with what it is tested by. Rows have low, mid, high, won, lost and p; `behind(row, "won")`
 * is the address of the items that were won.
 */
function differenceColumns(rows, behind) {
  const ends = rows.flatMap((row) => [row.low, row.high, 0]),
    step = 5;
  const place = scale(
    [Math.floor(Math.min(...ends) / step) * step, Math.ceil(Math.max(...ends) / step) * step],
    [12, 188],
  );
  const leaning = (row) => ((row.pHolm ?? row.p) > 0.05 ? "" : row.mid > 0 ? "better" : "worse");
  const items = (key) => ({
    key,
    title: key,
    right: true,
    down: true,
    order: (row) => row[key],
    cell: (row) =>
      row[key] === 0
        ? "0"
        : el(
            "a",
            {
              href: behind(row, key),
              "aria-label": `${counted(row[key])} ${key}: ${row.title}`,
              "data-focus": `${key} ${row.title}`,
            },
            String(row[key]),
          ),
  });
  return [
    {
      key: "bar",
      title: "B worse ← → better, points",
      order: (row) => row.mid,
      down: true,
      foot: () => axis(place, "", 5),
      cell: (row) => intervalBar(row, place, { kind: leaning(row), reference: 0 }),
    },
    {
      key: "difference",
      title: "B - A [95 % CI]",
      right: true,
      order: (row) => row.mid,
      down: true,
      cell: (row) => el("span", { class: leaning(row) || null }, pointsText(row)),
    },
    items("won"),
    items("lost"),
    { key: "p", title: "p", right: true, order: (row) => row.p, cell: (row) => row.pText },
  ];
}
