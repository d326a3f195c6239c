const data = islandData();
const side = drawer(() => state.set({ row: "" }));
const state = hashState({ sort: "", row: "", q: "" }, show);

function show(now) {
  const columns = [
    {
      key: "name",
      title: "name",
      header: true,
      order: (row) => row.name,
      cell: (row) =>
        el(
          "button",
          { type: "button", class: "link", "data-focus": row.name, click: () => state.set({ row: row.name }) },
          row.name,
        ),
    },
    {
      key: "value",
      title: "value",
      legend: "a number",
      right: true,
      down: true,
      order: (row) => row.value,
      cell: (row) => (row.value === null ? "—" : String(row.value)),
    },
    {
      key: "bar",
      title: "interval",
      cell: (row) =>
        row.value !== null &&
        intervalBar({ low: row.value - 1, mid: row.value, high: row.value + 1 }, scale([0, 12], [4, 200])),
    },
  ];
  const rows = data.rows.filter((row) => row.name.includes(now.q));
  redraw(
    byId("here"),
    dataTable({ caption: "The rows", columns, rows, sort: now.sort, sorted: (sort) => state.set({ sort }) }),
  );
  const row = data.rows.find(({ name }) => name === now.row);
  if (row) side.open(row.name, el("p", {}, data.note));
  else side.close();
}

fill(
  byId("tools"),
  el("label", {}, "Find ", el("input", { type: "search", input: (event) => state.adjust({ q: event.target.value }) })),
  copyButton("Copy", () =>
    asMarkdown(
      ["name"],
      data.rows.map((row) => [row.name]),
      [false],
    ),
  ),
  scatterPlot(
    data.rows
      .filter(({ value }) => value)
      .map(({ name, value }) => ({ x: value, y: value, low: value - 1, high: value + 1, label: name, onFront: true })),
    { xTitle: "x", yTitle: "y", told: "points" },
  ),
);
state.start();
