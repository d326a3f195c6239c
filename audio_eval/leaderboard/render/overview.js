// Models and methods against tasks. Offers: overviewView.

function overviewView(now, state) {
  const { tasks, lines } = data.overview;
  const rows = lines.filter((line) => matches(line, now));
  const only = data.tasks.filter((task) => task.boards.length === 0);
  const shadesOf = tasks.map((_, i) => shades(lines.map((line) => line.values[i])));
  const columns = [
    { key: "label", title: "method", header: true, order: (line) => line.label, cell: (line) => line.label },
    ...tasks.map((task, i) => ({
      key: `task ${task}`,
      title: task,
      right: true,
      down: true,
      order: (line) => line.values[i],
      cell: (line) =>
        line.texts[i] === ""
          ? "—"
          : el(
              "a",
              { class: `cell ${shadesOf[i](line.values[i])}`, href: state.link({ task, row: line.ids[i], sort: "" }) },
              line.texts[i],
            ),
    })),
    {
      key: "mean",
      title: "mean",
      legend: "unweighted, where each task has one number on all of its items",
      right: true,
      down: true,
      order: (line) => line.mean,
      cell: (line) => (line.mean === null ? "—" : line.mean.toFixed(1)),
    },
    { key: "notes", title: "notes", cell: (line) => chips(line.notes) },
  ];
  return [
    el("p", { class: "note" }, "Accuracy in percent. Intervals, places and tests are on each task's own page."),
    rows.length
      ? dataTable({ caption: "All tasks", columns, rows, sort: now.sort, sorted: (sort) => state.set({ sort }) })
      : noneLeft(state),
    only.length > 0 &&
      el(
        "p",
        {},
        "Reported by others only: ",
        only.map((task, i) => [i ? ", " : "", el("a", { href: state.link({ task: task.name, sort: "" }) }, task.name)]),
      ),
    data.leftOut.length > 0 && [
      el("h3", {}, "Left out"),
      el(
        "ul",
        { class: "note" },
        data.leftOut.map((reason) => el("li", {}, reason)),
      ),
    ],
  ];
}
