// B against A by the groups of the items. Offers: groupsView.

function groupsView(data, now, state) {
  if (data.groups.length === 0) return [el("p", { class: "note" }, "The items of this task have no groups.")];
  const { kind, rows } = data.groups.find((each) => each.kind === now.kind) ?? data.groups[0];
  const choice = el(
    "select",
    { "data-focus": "kind", change: (event) => state.set({ kind: event.target.value, sort: "" }) },
    data.groups.map((each) => el("option", { value: each.kind, selected: each.kind === kind }, each.kind)),
  );
  const columns = groupColumns(kind, rows, state);
  return [
    el("div", { class: "bar" }, el("label", {}, "Groups by", choice)),
    el(
      "p",
      { class: "note" },
      `p (Holm) is adjusted for the ${rows.length} groups of this table. A number won or lost shows its items.`,
    ),
    dataTable({
      caption: `B against A by ${kind}`,
      columns,
      rows,
      sort: now.sort,
      sorted: (sort) => state.set({ sort }),
    }),
    el(
      "div",
      { class: "bar" },
      ["markdown", "CSV", "LaTeX"].map((form) =>
        copyButton(`Copy as ${form}`, () => copiedGroups(form, kind, sortedBy(columns, rows, now.sort))),
      ),
    ),
  ];
}

function groupColumns(kind, rows, state) {
  const number = (key, title, text) => ({ key, title, right: true, down: true, order: (row) => row[key], cell: text });
  const behind = (row, show) => state.link({ ...ITEMS, show, group: groupKey(kind, row.title) });
  return [
    { key: "title", title: kind, header: true, order: (row) => row.title, cell: (row) => row.title },
    number("n", "n", (row) => row.n),
    number("a", "A %", (row) => row.a.toFixed(1)),
    number("b", "B %", (row) => row.b.toFixed(1)),
    ...differenceColumns(rows, behind),
    { key: "pHolm", title: "p (Holm)", right: true, order: (row) => row.pHolm, cell: (row) => row.pHolmText },
  ];
}

function sortedBy(columns, rows, sort) {
  const by = columns.find(({ key }) => key === sort.replace(/^-/, ""));
  return by ? inOrder(rows, by, sort.startsWith("-")) : rows;
}

/** The table without its bars; as CSV with every number by itself, unrounded. */
function copiedGroups(form, kind, rows) {
  if (form === "CSV") {
    const keys = ["n", "a", "b", "mid", "low", "high", "won", "lost", "p", "pHolm"];
    const titles = ["n", "A %", "B %", "B - A", "low", "high", "won", "lost", "p", "p (Holm)"];
    return asCsv(
      [kind, ...titles],
      rows.map((row) => [row.title, ...keys.map((key) => row[key])]),
    );
  }
  const texts = (row) => [
    row.n,
    row.a.toFixed(1),
    row.b.toFixed(1),
    pointsText(row),
    row.won,
    row.lost,
    row.pText,
    row.pHolmText,
  ];
  const titles = [kind, "n", "A %", "B %", "B - A [95 % CI]", "won", "lost", "p", "p (Holm)"];
  return { markdown: asMarkdown, LaTeX: asLatex }[form](
    titles,
    rows.map((row) => [row.title, ...texts(row).map(String)]),
    titles.map((_, i) => i > 0),
  );
}
