// Charts as inline SVG. What they show stands in a table beside them, so they are pictures to a screen reader.
// Offers: svg, scale, ticks, intervalBar, axis, scatterPlot, shades.

/** An SVG element; attributes and children as in el(). */
function svg(tag, attributes = {}, ...children) {
  return fill(dress(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes), ...children);
}

/** value -> place in pixels, from `domain` [low, high] to `range` [from, to]; `log` where values are of many sizes. */
function scale(domain, range, log = false) {
  const of = log ? Math.log : (value) => value;
  const [low, high] = domain.map(of),
    width = high - low || 1;
  const place = (value) => range[0] + ((of(value) - low) / width) * (range[1] - range[0]);
  return Object.assign(place, { domain, range, log });
}

/** Round values inside the domain of a scale, about `wanted` of them. */
function ticks({ domain: [low, high], log }, wanted = 5) {
  if (log) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      for (const digit of [1, 2, 5]) found.push(Number((digit * 10 ** power).toPrecision(1)));
    }
    const inside = found.filter((value) => value >= low && value <= high);
    return inside.length > 2 * wanted ? inside.filter((value) => /^1|^0\.0*1$/.test(String(value))) : inside;
  }
  const rough = (high - low || 1) / wanted,
    size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * size).find((each) => each >= rough);
  const count = Math.floor(high / step) - Math.ceil(low / step) + 1;
  return Array.from({ length: count }, (_, i) => Number(((Math.ceil(low / step) + i) * step).toPrecision(12)));
}

/**
 * An interval as a bar with its middle as a dot. `reference` is a line to compare with, `margin` [from, to] a band
 * around it; `kind` is "better", "worse" or "" and colours it.
 */
function intervalBar({ low, mid, high }, place, { kind = "", reference = null, margin = null, height = 18 } = {}) {
  const middle = height / 2,
    [left, right] = place.range,
    limit = (x) => Math.min(Math.max(x, left), right);
  return svg(
    "svg",
    {
      class: `interval ${kind}`.trim(),
      width: right + left,
      height,
      viewBox: `0 0 ${right + left} ${height}`,
      "aria-hidden": "true",
      focusable: "false",
    },
    margin &&
      svg("rect", {
        class: "margin",
        x: limit(place(margin[0])),
        width: limit(place(margin[1])) - limit(place(margin[0])),
        y: 0,
        height,
      }),
    reference !== null &&
      svg("line", { class: "reference", x1: place(reference), x2: place(reference), y1: 0, y2: height }),
    svg("line", { class: "range", x1: limit(place(low)), x2: limit(place(high)), y1: middle, y2: middle }),
    svg("circle", { class: "mid", cx: limit(place(mid)), cy: middle, r: 3.5 }),
  );
}

/** The axis of a column of interval bars. */
function axis(place, unit = "", wanted = 5) {
  const width = place.range[1] + place.range[0];
  return svg(
    "svg",
    { class: "axis", width, height: 22, viewBox: `0 0 ${width} 22`, "aria-hidden": "true", focusable: "false" },
    ticks(place, wanted).map((value) => [
      svg("line", { x1: place(value), x2: place(value), y1: 0, y2: 4 }),
      svg("text", { x: place(value), y: 17, "text-anchor": "middle" }, `${compact(value)}${unit}`),
    ]),
  );
}

/**
 * Points with vertical intervals, a line through those `onFront`, and labels where there is room. Points have x, y,
 * low, high, label, onFront, chosen() (a click). `told` says in words what the picture shows.
 */
function scatterPlot(points, { width = 860, height = 360, log = true, xTitle, yTitle, told }) {
  const pad = { left: 52, right: 24, top: 16, bottom: 46 };
  const xs = points.map((point) => point.x),
    lows = points.map((point) => point.low),
    highs = points.map((point) => point.high);
  const spread = log ? [Math.min(...xs) / 1.4, Math.max(...xs) * 1.4] : [0, Math.max(...xs) * 1.05];
  const x = scale(spread, [pad.left, width - pad.right], log);
  const y = scale(
    [Math.max(0, Math.min(...lows) - 2), Math.min(100, Math.max(...highs) + 2)],
    [height - pad.bottom, pad.top],
  );
  const front = points.filter((point) => point.onFront).sort((a, b) => a.x - b.x);
  return svg(
    "svg",
    { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": told },
    ticks(y).map((value) => [
      svg("line", { class: "grid", x1: pad.left, x2: width - pad.right, y1: y(value), y2: y(value) }),
      svg("text", { x: pad.left - 8, y: y(value) + 4, "text-anchor": "end" }, compact(value)),
    ]),
    ticks(x).map((value) =>
      svg("text", { x: x(value), y: height - pad.bottom + 18, "text-anchor": "middle" }, compact(value)),
    ),
    svg(
      "text",
      { class: "title", x: (pad.left + width - pad.right) / 2, y: height - 6, "text-anchor": "middle" },
      xTitle,
    ),
    svg(
      "text",
      {
        class: "title",
        x: 14,
        y: (pad.top + height - pad.bottom) / 2,
        "text-anchor": "middle",
        transform: `rotate(-90 14 ${(pad.top + height - pad.bottom) / 2})`,
      },
      yTitle,
    ),
    front.length > 1
      ? svg("polyline", { class: "front", points: front.map((point) => `${x(point.x)},${y(point.y)}`).join(" ") })
      : null,
    points.map((point) =>
      svg(
        "g",
        { class: point.onFront ? "point on-front" : "point", click: point.chosen ?? null },
        svg("title", {}, point.label),
        svg("line", { x1: x(point.x), x2: x(point.x), y1: y(point.low), y2: y(point.high) }),
        svg("circle", { cx: x(point.x), cy: y(point.y), r: point.onFront ? 5 : 4 }),
      ),
    ),
    labels(front, points, x, y, width).map(({ text, left, top }) =>
      svg("text", { class: "label", x: left, y: top }, text),
    ),
  );
}

// A label beside each of the points, at the first side where it covers neither another label nor a point.
function labels(named, points, x, y, width) {
  const taken = points.map((point) => ({
    left: x(point.x) - 6,
    right: x(point.x) + 6,
    top: y(point.y) - 6,
    bottom: y(point.y) + 6,
  }));
  const found = [];
  for (const point of named) {
    const size = point.label.length * 6.6;
    const sides = [
      [10, 4],
      [-size - 10, 4],
      [-size / 2, -12],
      [-size / 2, 20],
      [10, -12],
      [-size - 10, -12],
      [10, 20],
    ];
    for (const [dx, dy] of sides) {
      const left = x(point.x) + dx,
        top = y(point.y) + dy;
      const box = { left, right: left + size, top: top - 11, bottom: top + 3 };
      const free =
        box.left > 40 &&
        box.right < width &&
        taken.every(
          (other) =>
            box.right < other.left || box.left > other.right || box.bottom < other.top || box.top > other.bottom,
        );
      if (!free) continue;
      taken.push(box);
      found.push({ text: point.label, left, top });
      break;
    }
  }
  return found;
}

/** value -> the class of its cell in a heat map: in which of nine equal parts of all `values` it lies; "" for null. */
function shades(values) {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
  const places = new Map(sorted.map((value, place) => [value, place]));
  return (value) =>
    value === null ? "" : `shade-${Math.round((8 * places.get(value)) / Math.max(1, sorted.length - 1))}`;
}
