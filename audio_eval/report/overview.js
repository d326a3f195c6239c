// What came out: figures, what became of the items, groups, positions. Offers: overviewView, provenanceView.

function overviewView(now, state) {
  const scored = data.records.some((record) => stateOf(after(record)) !== null);
  return [
    data.notes.length > 0 &&
      el(
        "ul",
        { class: "note" },
        data.notes.map((note) => el("li", {}, note)),
      ),
    !scored && el("p", { class: "note" }, "No item is scored yet. Items and votes are in the other views."),
    el(
      "div",
      { class: "sides" },
      el(
        "div",
        {},
        scored && (data.arms.length > 1 ? flipsPart(state) : statesPart(state)),
        scored && KINDS.length > 0 && groupsPart(now, state),
        positionsPart(),
      ),
      el("div", {}, data.figures.length > 0 && figuresPart()),
    ),
  ];
}

function figuresPart() {
  const columns = [
    {
      key: "title",
      title: "figure",
      header: true,
      cell: (row) => el("span", { title: row.legend || null }, row.title),
    },
    ...data.arms.map((name, i) => ({ key: `arm ${i}`, title: name, right: true, cell: (row) => row.texts[i] })),
  ];
  return [el("h2", {}, "Figures"), dataTable({ caption: "Figures", columns, rows: data.figures })];
}

function flipsPart(state) {
  const [first, last] = [data.arms[0], data.arms.at(-1)];
  const count = (from, to) =>
    data.records.filter((record) => stateOf(before(record)) === from && stateOf(after(record)) === to).length;
  const kinds = {
    right: { wrong: "worse", unreadable: "worse" },
    wrong: { right: "better" },
    unreadable: { right: "better" },
  };
  const columns = [
    { key: "from", title: `${first} ↓   ${last} →`, header: true, cell: (from) => from },
    ...STATES.map((to) => ({
      key: to,
      title: to,
      right: true,
      cell: (from) =>
        el(
          "span",
          { class: kinds[from][to] ?? null },
          countLink(count(from, to), { from, to }, state, `${first} ${from}, ${last} ${to}`),
        ),
    })),
  ];
  return [
    el("h2", {}, "What became of the items"),
    el(
      "p",
      { class: "note" },
      `Each number opens its items. Lines are what ${first} makes of them, columns what ${last} does. `,
      "A response without a readable answer counts as wrong: items that go from unreadable to right were fixed in their form.",
    ),
    dataTable({ caption: "What became of the items", columns, rows: STATES }),
  ];
}

function statesPart(state) {
  const columns = [
    { key: "state", title: "response", header: true, cell: (to) => to },
    {
      key: "n",
      title: "items",
      right: true,
      cell: (to) => countLink(data.records.filter((record) => stateOf(after(record)) === to).length, { to }, state, to),
    },
  ];
  return [el("h2", {}, "Responses"), dataTable({ caption: "Responses", columns, rows: STATES })];
}

function groupsPart(now, state) {
  const kind = KINDS.includes(now.kind) ? now.kind : KINDS[0];
  const choice = el(
    "select",
    { "data-focus": "kind", change: (event) => state.set({ kind: event.target.value, sort: "" }) },
    KINDS.map((name) => el("option", { value: name, selected: name === kind }, name)),
  );
  const rows = [...new Set(data.records.map((record) => record.groups[kind]).filter((name) => name !== undefined))].map(
    (name) => {
      const records = data.records.filter((record) => record.groups[kind] === name);
      const fate = (wanted) => records.filter((record) => record.fate === wanted).length;
      return {
        name,
        n: records.length,
        shares: data.arms.map((_, i) => percentRight(records.map(i === data.arms.length - 1 ? after : before))),
        fixed: fate("fixed"),
        broken: fate("broken"),
      };
    },
  );
  const columns = [
    {
      key: "name",
      title: kind,
      header: true,
      order: (row) => row.name,
      cell: (row) =>
        el(
          "a",
          { href: state.link({ view: "items", by: kind, group: row.name, show: "", sort: "" }) },
          row.name || "(none)",
        ),
    },
    { key: "n", title: "items", right: true, down: true, order: (row) => row.n, cell: (row) => String(row.n) },
    ...data.arms.map((name, i) => ({
      key: `share ${i}`,
      title: `${name} %`,
      right: true,
      down: true,
      order: (row) => row.shares[i],
      cell: (row) => (row.shares[i] === null ? "—" : row.shares[i].toFixed(1)),
    })),
    ...(data.arms.length > 1
      ? ["fixed", "broken"].map((fate) => ({
          key: fate,
          title: fate,
          right: true,
          down: true,
          order: (row) => row[fate],
          cell: (row) => countLink(row[fate], { by: kind, group: row.name, show: fate }, state, `${row.name}, ${fate}`),
        }))
      : []),
  ];
  return [
    el("h2", {}, "By groups"),
    el("div", { class: "bar" }, el("label", {}, "Groups by", choice)),
    dataTable({ caption: `By ${kind}`, columns, rows, sort: now.sort, sorted: (sort) => state.set({ sort }) }),
  ];
}

function percentRight(arms) {
  const known = arms.map(stateOf).filter((one) => one !== null);
  return known.length ? (100 * known.filter((one) => one === "right").length) / known.length : null;
}

// Whether a run prefers options by where they stand.
function positionsPart() {
  const records = data.records.filter((record) => record.options.length > 0);
  const most = records.reduce((n, record) => Math.max(n, record.options.length), 0);
  if (most < 2 || !records.some((record) => after(record).choice !== null)) return null;
  const counted = (place) => [
    ...(records.some((record) => record.gold_at !== null)
      ? [["answers", records.filter((record) => record.gold_at === place).length]]
      : []),
    ...data.arms.map((name, i) => {
      const arm = i === data.arms.length - 1 ? after : before;
      return [name, records.filter((record) => arm(record)?.choice === place).length];
    }),
  ];
  const rows = Array.from({ length: most }, (_, place) => ({ place, counts: counted(place) }));
  const totals = rows[0].counts.map((_, i) => rows.reduce((sum, row) => sum + row.counts[i][1], 0));
  const columns = [
    { key: "place", title: "position", header: true, cell: (row) => letterAt(row.place) },
    ...rows[0].counts.map(([name], i) => ({
      key: `count ${i}`,
      title: name,
      cell: (row) =>
        voteBar({ counts: [row.counts[i][1]], unreadable: totals[i] - row.counts[i][1], unplaced: 0, choice: null }, 0),
    })),
  ];
  return [
    el("h2", {}, "Positions of the options"),
    el("p", { class: "note" }, "How often the option at a position is named, beside how often it is the answer."),
    dataTable({ caption: "Positions of the options", columns, rows }),
  ];
}

function provenanceView() {
  return [
    el("h2", {}, "Make it again"),
    el("pre", { class: "command", tabindex: "0", "aria-label": "Command" }, data.command),
    copyButton("Copy the command", () => data.command),
    el("h2", {}, "Where the numbers are from"),
    el(
      "dl",
      { class: "facts wide" },
      data.facts.map(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]),
    ),
  ];
}
