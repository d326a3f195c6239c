// The adaptation: curves over its steps, and how far its votes can be relied on. Offers: curvesView, votesView.

function curvesView() {
  if (data.charts.length === 0) return [el("p", { class: "note" }, "Nothing was trained in this run.")];
  const others = data.charts.filter((chart) => chart.other && !flat(chart));
  return [
    data.fates && fatesPart(),
    el("div", { class: "charts" }, data.charts.filter((chart) => !chart.other).map(chartPart)),
    others.length > 0 && [el("h2", {}, "Further metrics"), el("div", { class: "charts" }, others.map(chartPart))],
    el("div", { class: "bar" }, copyButton("Copy all curves as CSV", curvesAsCsv)),
  ];
}

const oracleChip = () => el("span", { class: "chip warn" }, "oracle");

function chartPart(chart) {
  return el(
    "section",
    { "aria-label": chart.title },
    el("h3", {}, chart.title, " ", chart.oracle && oracleChip()),
    chart.told && el("p", { class: "note" }, chart.told),
    lineChart(chart),
  );
}

// Whether there is nothing to see: the same value at each step.
function flat(chart) {
  return chart.series.every(({ points }) => points.every(([, value]) => value === points[0][1]));
}

function fatesPart() {
  return [
    el("h2", {}, "Fixed, broken and kept over the steps"),
    el(
      "p",
      { class: "note" },
      "The scored items at each point of the curve, beside the model before the first step. ",
      oracleChip(),
    ),
    stackedChart({ title: "Items", steps: data.fates.steps, counts: data.fates.counts }),
  ];
}

function curvesAsCsv() {
  const series = data.charts.flatMap((chart) => chart.series);
  const values = series.map((one) => new Map(one.points));
  const steps = [...new Set(series.flatMap((one) => one.points.map(([step]) => step)))].sort((a, b) => a - b);
  return asCsv(
    ["step", ...series.map((one) => one.name)],
    steps.map((step) => [step, ...values.map((of) => of.get(step) ?? null)]),
  );
}

function votesView(now, state) {
  if (data.reliability.length === 0) {
    return [el("p", { class: "note" }, "No vote is known here together with its answer.")];
  }
  const place = scale([0, 100], [8, 252]);
  const fate = (bin, wanted) =>
    data.records.filter(
      (record) => record.fate === wanted && record.sure !== null && binOf(record.sure) === binOf(bin.from + 0.01),
    ).length;
  const columns = [
    { key: "bin", title: "confidence", header: true, cell: (bin) => `${bin.from.toFixed(1)} to ${bin.to.toFixed(1)}` },
    { key: "n", title: "votes", right: true, cell: (bin) => String(bin.n) },
    { key: "right", title: "right %", right: true, cell: (bin) => (bin.right === null ? "—" : bin.right.toFixed(1)) },
    {
      key: "interval",
      title: "right, with its interval",
      foot: () => axis(place, "", 5),
      cell: (bin) =>
        bin.right !== null &&
        intervalBar({ low: bin.low, mid: bin.right, high: bin.high }, place, { reference: bin.confidence }),
    },
    ...(data.arms.length > 1
      ? ["fixed", "broken", "kept right", "kept wrong"].map((wanted) => ({
          key: wanted,
          title: wanted,
          right: true,
          cell: (bin) => String(fate(bin, wanted)),
        }))
      : []),
  ];
  return [
    el("h2", {}, "How far votes can be relied on"),
    el(
      "p",
      { class: "note" },
      "Votes by how sure they are: the share of a question's samples, or of its views, that agree. The dotted line is the ",
      "mean confidence of the votes of a line; if votes were as often right as they are sure, the dot would be on it. ",
      oracleChip(),
    ),
    dataTable({ caption: "Votes by confidence", columns, rows: data.reliability }),
    el(
      "p",
      {},
      el(
        "a",
        { href: state.link({ view: "items", show: "label", sort: "-sure" }) },
        "Items whose label is wrong, the surest first",
      ),
    ),
  ];
}

const binOf = (sure) => Math.min(Math.floor(sure * 5 + 1e-9), 4);
