// What is behind a row: how it was made, and how to make it again. Offers: provenance.

function provenance(task, row) {
  const facts = (pairs) =>
    el(
      "dl",
      { class: "facts" },
      pairs.filter(([, text]) => text && text !== "—").map(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]),
    );
  const table = task.columns.map((column, i) => [column.title, row.texts[i]]).filter(([title]) => title !== "method");
  const sources = task.sources.map((column, i) => [column.title, row.sources[i]]);
  const seeds = row.seeds.length > 1 && row.seeds.every(([, accuracy]) => accuracy !== null);
  return [
    row.links.length > 0 && [el("h3", {}, "Its items and their sound"), pagesAbout(row)],
    el("h3", {}, "Make it again"),
    el("pre", { class: "command", tabindex: "0", "aria-label": "Command" }, row.command),
    row.recorded
      ? null
      : el("p", { class: "note" }, "Built from the result: what else the run was given was not recorded."),
    copyButton("Copy the command", () => row.command),
    el("h3", {}, "Figures"),
    facts(table),
    seeds && [
      el("h3", {}, "Each seed"),
      facts(
        row.seeds.map(([seed, accuracy, seconds]) => [
          `seed ${seed}`,
          `${accuracy.toFixed(1)} %${seconds === null ? "" : `, ${compact(seconds)} s`}`,
        ]),
      ),
    ],
    row.reported.length > 0 && [
      el("h3", {}, "Reported by others for this model and method"),
      facts(row.reported.map(([accuracy, version, source]) => [String(accuracy), `${source}; data: ${version}`])),
    ],
    el("h3", {}, "Where the numbers are from"),
    facts([["model", row.model], ["hardware", row.device], ...sources]),
  ];
}

function pagesAbout(row) {
  const named = (seed, what) => (row.seeds.length > 1 ? `${what}, seed ${seed}` : what);
  return el(
    "ul",
    { class: "links" },
    row.links.map(([seed, what, href]) => el("li", {}, el("a", { href }, named(seed, what)))),
  );
}
