// Charts over the steps of a run. Offers: lineChart, stackedChart.

const PAD = { left: 46, right: 12, top: 10, bottom: 26 };
const SMOOTHED = 40; // from so many points on, the mean of a window is drawn over them

/** Curves on one axis; series have name and points [[step, value], ...]. What is pointed at is read out below. */
function lineChart({ title, series, width = 440, height = 200 }) {
  const points = series.flatMap((one) => one.points);
  const x = scale(extent(points.map(([step]) => step)), [PAD.left, width - PAD.right]);
  const y = scale(roomy(extent(points.map(([, value]) => value))), [height - PAD.bottom, PAD.top]);
  const path = (line) => line.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const drawn = series.map((one, i) => {
    const smooth = one.points.length >= SMOOTHED && smoothed(one.points);
    return [
      svg("polyline", { class: `line line-${i % 6}${smooth ? " faint" : ""}`, points: path(one.points) }),
      smooth && svg("polyline", { class: `line line-${i % 6}`, points: path(smooth) }),
      one.points.length === 1 &&
        svg("circle", { class: `dot line-${i % 6}`, cx: x(one.points[0][0]), cy: y(one.points[0][1]), r: 3 }),
    ];
  });
  return framed({ title, width, height, x, y, drawn, series, told: toldOf(series) });
}

/** Counts of items over steps, one on the other; `counts` has a list for each name. */
function stackedChart({ title, steps, counts, width = 900, height = 260 }) {
  const names = Object.keys(counts),
    all = steps.map((_, i) => names.reduce((sum, name) => sum + counts[name][i], 0));
  const x = scale(extent(steps), [PAD.left, width - PAD.right]),
    y = scale([0, Math.max(...all)], [height - PAD.bottom, PAD.top]);
  let below = steps.map(() => 0);
  const drawn = names.map((name) => {
    const above = below.map((n, i) => n + counts[name][i]);
    const place = (values) => values.map((n, i) => `${x(steps[i]).toFixed(1)},${y(n).toFixed(1)}`);
    const area = [...place(above), ...place(below).reverse()].join(" ");
    below = above;
    return svg("polygon", { class: `area ${name.replace(" ", "-")}`, points: area });
  });
  const series = names.map((name) => ({
    name,
    kind: name.replace(" ", "-"),
    points: steps.map((step, i) => [step, counts[name][i]]),
  }));
  return framed({ title, width, height, x, y, drawn, series, told: toldOf(series) });
}

// Axes, legend and read-out around what is drawn.
function framed({ title, width, height, x, y, drawn, series, told }) {
  const cursor = svg("line", { class: "cursor", y1: PAD.top, y2: height - PAD.bottom, visibility: "hidden" });
  const readout = el("p", { class: "readout" }, "\u00a0");
  const picture = svg(
    "svg",
    {
      class: "chart",
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": `${title}: ${told}`,
      pointermove: point,
      pointerleave: () => {
        cursor.setAttribute("visibility", "hidden");
        readout.textContent = "\u00a0";
      },
    },
    ticks(y, 4).map((value) => [
      svg("line", { class: "grid", x1: PAD.left, x2: width - PAD.right, y1: y(value), y2: y(value) }),
      svg("text", { x: PAD.left - 6, y: y(value) + 4, "text-anchor": "end" }, compact(value)),
    ]),
    ticks(x, 6)
      .filter(Number.isInteger)
      .map((value) => svg("text", { x: x(value), y: height - 8, "text-anchor": "middle" }, compact(value))),
    drawn,
    cursor,
  );
  return el("div", { class: "framed" }, series.length > 1 && legend(series), picture, readout);

  function point(event) {
    const box = picture.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * width;
    const steps = series.flatMap((one) => one.points.map(([step]) => step));
    const nearest = steps.reduce((best, step) => (Math.abs(x(step) - at) < Math.abs(x(best) - at) ? step : best));
    cursor.setAttribute("visibility", "visible");
    cursor.setAttribute("x1", x(nearest));
    cursor.setAttribute("x2", x(nearest));
    const values = series
      .map((one) => [one.name, one.points.find(([step]) => step === nearest)])
      .filter(([, found]) => found)
      .map(([name, found]) => `${name} ${compact(found[1])}`);
    readout.textContent = `step ${nearest}: ${values.join(", ")}`;
  }
}

function legend(series) {
  return el(
    "p",
    { class: "legend" },
    series.map((one, i) => [
      svg(
        "svg",
        { width: 14, height: 10, viewBox: "0 0 14 10", "aria-hidden": "true", focusable: "false" },
        one.kind
          ? svg("rect", { class: `area ${one.kind}`, width: 14, height: 10 })
          : svg("line", { class: `line line-${i % 6}`, x1: 0, x2: 14, y1: 5, y2: 5 }),
      ),
      el("span", {}, ` ${one.name}`),
    ]),
  );
}

const toldOf = (series) =>
  series
    .map(({ name, points }) => {
      const [first, last] = [points[0], points.at(-1)];
      return `${name} ${compact(first[1])} at step ${first[0]}, ${compact(last[1])} at step ${last[0]}`;
    })
    .join("; ");

function extent(values) {
  return [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
}

function roomy([low, high]) {
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
}

// The mean over a window around each point, a twentieth of all wide.
function smoothed(points) {
  const half = Math.max(2, Math.round(points.length / 40));
  return points.map(([step], i) => {
    const near = points.slice(Math.max(0, i - half), i + half + 1);
    return [step, near.reduce((sum, [, value]) => sum + value, 0) / near.length];
  });
}
