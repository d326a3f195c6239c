// Accuracy by the groups of a task, as a heat map. Offers: groupsView.

function groupsView(task, now, state) {
  const names = task.kinds.map((kind) => kind.name);
  if (names.length === 0) return [el("p", { class: "note" }, "No row of this task is broken down by groups.")];
  const at = Math.max(0, names.indexOf(now.kind)),
    { groups } = task.kinds[at];
  const choice = el(
    "select",
    { "data-focus": "kind", change: (event) => state.set({ kind: event.target.value, sort: "" }) },
    names.map((name, i) => el("option", { value: name, selected: i === at }, name)),
  );
  return [
    el("div", { class: "bar" }, el("label", {}, "Groups by", choice)),
    el(
      "p",
      { class: "note" },
      "Accuracy in percent, mean over seeds, with the number of items in brackets. ",
      "Darker is higher, in nine equal parts of a table's figures.",
    ),
    ...task.boards.map((board) => {
      const rows = board.rows.filter((row) => matches(row, now));
      if (rows.length === 0) return null;
      const shade = shades(board.rows.flatMap((row) => row.groups[at]));
      const columns = [
        { key: "label", title: "method", header: true, order: (row) => row.label, cell: (row) => openRow(row, state) },
        ...groups.map(([name, n], i) => ({
          key: `group ${name}`,
          title: `${name} (${n})`,
          right: true,
          down: true,
          order: (row) => row.groups[at][i],
          cell: (row) =>
            el(
              "span",
              { class: `cell ${shade(row.groups[at][i])}` },
              row.groups[at][i] === null ? "—" : row.groups[at][i].toFixed(1),
            ),
        })),
      ];
      const caption = `${task.name} by ${names[at]}: ${board.ranked ? board.title : "rows that are not ranked"}`;
      return [
        el("h3", {}, board.ranked ? "Ranked together" : board.title),
        dataTable({ caption, columns, rows, sort: now.sort, sorted: (sort) => state.set({ sort }) }),
      ];
    }),
  ];
}
