// Each method against direct, paired by item: a forest plot. Offers: againstView.

function againstView(task, now, state) {
  const parts = task.boards.map((board) => {
    const rows = board.rows.filter((row) => row.difference && matches(row, now));
    if (rows.length === 0) return null;
    const margin = rows[0].difference[3];
    const ends = rows.flatMap((row) => [row.difference[0], row.difference[2]]);
    const step = 5,
      low = Math.floor(Math.min(-margin, ...ends) / step) * step,
      high = Math.ceil(Math.max(margin, ...ends) / step) * step;
    const place = scale([low, high], [16, 464]);
    const column = (key, title) => ({
      key,
      title,
      right: true,
      order: (row) => valueOf(task, row, key),
      cell: (row) => textOf(task, row, key),
    });
    const columns = [
      { key: "label", title: "method", header: true, order: (row) => row.label, cell: (row) => openRow(row, state) },
      {
        key: "forest",
        title: "worse than direct ← → better, points",
        order: (row) => row.difference[1],
        down: true,
        foot: () => axis(place, "", 8),
        cell: (row) =>
          intervalBar({ low: row.difference[0], mid: row.difference[1], high: row.difference[2] }, place, {
            kind: leaning(row),
            reference: 0,
            margin: [-margin, margin],
            height: 22,
          }),
      },
      column("difference", "Δ direct [95 % CI]"),
      column("p_value", "p"),
      column("p_holm", "p (Holm)"),
      { ...column("equivalent", "equivalent"), order: (row) => textOf(task, row, "equivalent") },
      column("detectable", "detectable Δ"),
      column("n", "n"),
    ];
    const table = dataTable({
      caption: `${task.name}: difference from direct, ${board.ranked ? board.title : "rows that are not ranked"}`,
      columns,
      rows,
      sort: now.sort || "-forest",
      sorted: (sort) => state.set({ sort }),
    });
    return [
      el("h3", {}, board.ranked ? "Ranked together" : board.title),
      el("p", { class: "note" }, board.ranked ? board.title : null),
      table,
    ];
  });
  if (!parts.some(Boolean))
    return [el("p", { class: "note" }, "No row of this task that the filters leave is compared with direct.")];
  return [
    el(
      "p",
      {},
      "Points above or below direct on the same items, with the same model, prompt, scorer and data. ",
      "The grey band is the margin within which a difference counts as none; ",
      "p (Holm) is adjusted for all rows that are compared under the same conditions.",
    ),
    ...parts,
  ];
}
