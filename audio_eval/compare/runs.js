// How the two runs were made. Offers: runsView.

function runsView({ facts, runs }) {
  const columns = [
    { key: "name", title: "fact", header: true, cell: (row) => row.name },
    { key: "a", title: "A", cell: (row) => row.a },
    { key: "b", title: "B", cell: (row) => row.b },
  ];
  const apart = facts.filter((row) => row.a !== row.b),
    alike = facts.filter((row) => row.a === row.b);
  return [
    el("h2", {}, "What differs"),
    dataTable({ caption: "What differs between the runs", columns, rows: apart }),
    el("h2", {}, "What is the same"),
    el(
      "dl",
      { class: "facts wide" },
      alike.map((row) => [el("dt", {}, row.name), el("dd", {}, row.a)]),
    ),
    el("h2", {}, "Make them again"),
    runs.map((run, i) => [
      el("h3", {}, `${"AB"[i]}: ${run.label}`),
      el("pre", { class: "command", tabindex: "0", "aria-label": `Command of ${"AB"[i]}` }, run.command),
      copyButton(`Copy the command of ${"AB"[i]}`, () => run.command),
    ]),
  ];
}
