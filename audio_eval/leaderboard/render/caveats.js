// What to know before comparing, and what the columns mean. Offers: caveatsView.

function caveatsView(task) {
  return [
    task.caveats.length === 0 && el("p", {}, "Nothing is known that would forbid to compare these rows."),
    task.caveats.map(([title, told, labels]) => [
      el("h3", {}, title),
      told && el("p", {}, told),
      el(
        "ul",
        { class: "names" },
        [...new Set(labels)].map((label) => el("li", {}, label)),
      ),
    ]),
    task.columns.length > 0 && [
      el("h3", {}, "What the columns mean"),
      el(
        "dl",
        { class: "facts wide" },
        task.columns
          .filter((column) => column.legend)
          .map((column) => [el("dt", {}, column.title), el("dd", {}, column.legend.replaceAll("`", ""))]),
      ),
    ],
  ];
}
