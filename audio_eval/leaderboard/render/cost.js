// What an accuracy costs, and which rows no other row beats in both. Offers: costView.

function costView(task, now, state) {
  const known = Object.keys(data.costs).filter((key) =>
    task.boards.some((board) => board.rows.some((row) => row.costs[key] > 0)),
  );
  const boards = task.boards.filter((board) => board.ranked);
  if (known.length === 0 || boards.length === 0)
    return [el("p", { class: "note" }, "No cost is recorded for ranked rows of this task.")];
  const cost = known.includes(now.cost) ? now.cost : known[0];
  const choice = el(
    "select",
    { "data-focus": "cost", change: (event) => state.set({ cost: event.target.value }) },
    known.map((key) => el("option", { value: key, selected: key === cost }, data.costs[key])),
  );
  return [
    el("div", { class: "bar" }, el("label", {}, "Cost", choice)),
    ...boards.map((board) => costPart(task, board, cost, now, state)),
  ];
}

function costPart(task, board, cost, now, state) {
  const rows = board.rows.filter((row) => row.interval && row.costs[cost] > 0 && matches(row, now));
  if (rows.length === 0) return [el("h3", {}, "Ranked together"), noneLeft(state)];
  const front = paretoFront(
    rows,
    (row) => row.costs[cost],
    (row) => row.interval[1],
  );
  const hardware = [...new Set(rows.map((row) => row.device))];
  const points = rows.map((row) => ({
    x: row.costs[cost],
    y: row.interval[1],
    low: row.interval[0],
    high: row.interval[2],
    label: row.label,
    onFront: front.has(row),
    chosen: () => state.set({ row: row.id }),
  }));
  const told = `Accuracy against ${data.costs[cost]} of ${rows.length} rows; the table below has the same figures.`;
  const columns = [
    { key: "label", title: "method", header: true, order: (row) => row.label, cell: (row) => openRow(row, state) },
    {
      key: "front",
      title: "on the front",
      order: (row) => (front.has(row) ? 0 : 1),
      cell: (row) => (front.has(row) ? "● yes" : ""),
    },
    {
      key: "cost",
      title: data.costs[cost],
      right: true,
      order: (row) => row.costs[cost],
      cell: (row) => row.costs[cost].toLocaleString("en", { maximumSignificantDigits: 4 }),
    },
    {
      key: "accuracy",
      title: "accuracy [95 % CI]",
      right: true,
      down: true,
      order: (row) => row.interval[1],
      cell: (row) => textOf(task, row, "accuracy"),
    },
    {
      key: "audio_rate",
      title: "audio s/s",
      right: true,
      down: true,
      order: (row) => valueOf(task, row, "audio_rate"),
      cell: (row) => textOf(task, row, "audio_rate"),
    },
    {
      key: "trained_parameters",
      title: "trained parameters",
      right: true,
      down: true,
      order: (row) => valueOf(task, row, "trained_parameters"),
      cell: (row) => textOf(task, row, "trained_parameters"),
    },
    { key: "device", title: "hardware", order: (row) => row.device, cell: (row) => row.device },
  ].filter(
    (column) =>
      !["audio_rate", "trained_parameters"].includes(column.key) ||
      rows.some((row) => textOf(task, row, column.key) !== "—"),
  );
  return [
    el("h3", {}, "Ranked together"),
    el("p", { class: "note" }, board.title),
    el(
      "p",
      {},
      `On the dashed front no other row is both cheaper and more accurate. Hardware: ${hardware.join("; ")}.`,
      hardware.length > 1 ? " Times on different hardware do not compare." : "",
    ),
    scatterPlot(points, { xTitle: `${data.costs[cost]} (logarithmic)`, yTitle: "accuracy, %", told }),
    dataTable({ caption: told, columns, rows, sort: now.sort || "cost", sorted: (sort) => state.set({ sort }) }),
  ];
}

/** The rows that no other row beats in one and equals in the other. */
function paretoFront(rows, costOf, gainOf) {
  const order = [...rows].sort((a, b) => costOf(a) - costOf(b) || gainOf(b) - gainOf(a));
  const front = new Set();
  let best = -Infinity;
  for (const row of order)
    if (gainOf(row) > best) {
      best = gainOf(row);
      front.add(row);
    }
  return front;
}
