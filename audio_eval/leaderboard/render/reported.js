// What others report, a table for each version of the data. Offers: reportedPart.

function reportedPart({ version, groups, rows }, now, state) {
  const left = rows.filter((row) => matches(row, now));
  const head = el("h4", {}, `Data version: ${version}`);
  if (left.length === 0) return [head, noneLeft(state)];
  const columns = [
    { key: "model", title: "model", header: true, order: (row) => row.model, cell: (row) => row.model },
    { key: "method", title: "method", order: (row) => row.method || null, cell: (row) => row.method || "—" },
    {
      key: "reported",
      title: "accuracy",
      right: true,
      down: true,
      order: (row) => row.accuracy,
      cell: (row) => row.accuracy.toFixed(2),
    },
    ...groups.map((name, i) => ({
      key: `group ${name}`,
      title: name,
      right: true,
      down: true,
      order: (row) => row.groups[i],
      cell: (row) => (row.groups[i] === null ? "—" : row.groups[i].toFixed(2)),
    })),
    {
      key: "source",
      title: "source",
      order: (row) => row.source,
      cell: (row) =>
        el("span", { class: "source" }, row.source, row.remark ? el("span", { class: "chip warn" }, row.remark) : null),
    },
  ];
  return [
    head,
    dataTable({
      caption: `Reported by others, data version ${version}`,
      columns,
      rows: left,
      sort: now.sort,
      sorted: (sort) => state.set({ sort }),
    }),
  ];
}
