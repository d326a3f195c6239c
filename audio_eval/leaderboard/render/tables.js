// The tables of a task: a board for each set of rows that are ranked together. Offers: tablesView, leaning.

// The columns that a reader needs first; the others are a choice.
const MAIN =
  "label rank_best tie apart accuracy difference p_holm learned reported samples wall_s device_hours notes".split(" ");
const COPIED = { markdown: asMarkdown, CSV: asCsv, LaTeX: asLatex };

function tablesView(task, now, state) {
  const parts = [];
  if (shows("measured", now)) {
    for (const board of task.boards) parts.push(boardPart(task, board, now, state));
    if (task.boards.length === 0 && now.show === "measured")
      parts.push(el("p", { class: "note" }, "No run of this task is kept here."));
  }
  if (shows("reported", now) && task.reported.length > 0) {
    parts.push(el("h3", {}, "Reported by others"), el("p", { class: "note" }, data.introduction));
    for (const version of task.reported) parts.push(reportedPart(version, now, state));
  }
  return parts;
}

function boardPart(task, board, now, state) {
  const rows = board.rows.filter((row) => matches(row, now));
  const shown = task.columns
    .filter((column) => now.columns === "all" || MAIN.includes(column.key))
    .filter((column) => rows.some((row) => textOf(task, row, column.key) !== "—"));
  const head = [
    el("h3", {}, board.ranked ? "Ranked together" : board.title),
    board.ranked
      ? el("p", { class: "note" }, board.title)
      : el("p", { class: "note" }, "Best first, but with no places: each row says why."),
    board.verdict ? el("p", { class: "verdict" }, board.verdict) : null,
  ];
  if (rows.length === 0) return [head, noneLeft(state)];
  const columns = shown.flatMap((column) =>
    column.key === "accuracy"
      ? [boardColumn(task, board.rows, column, state), intervals(board)]
      : [boardColumn(task, board.rows, column, state)],
  );
  const table = dataTable({
    caption: `${task.name}: ${board.ranked ? board.title : "not ranked"}`,
    columns,
    rows,
    sort: now.sort,
    sorted: (sort) => state.set({ sort }),
    mark: (row) => (row.baseline ? "baseline" : ""),
  });
  return [
    head,
    table,
    el(
      "div",
      { class: "bar" },
      Object.keys(COPIED).map((form) => copyButton(`Copy as ${form}`, () => copied(task, shown, rows, now.sort, form))),
    ),
  ];
}

function boardColumn(task, rows, column, state) {
  const { key, title, legend, right } = column,
    place = placeOf(task, key);
  const letters = [...new Set(rows.flatMap((row) => [...row.tie]))].sort();
  const text = (row) => row.texts[place];
  const numbers = rows.some((row) => row.values[place] !== null);
  const order = (row) => (numbers ? row.values[place] : text(row) === "—" ? null : text(row));
  const cells = {
    label: (row) => openRow(row, state),
    notes: (row) => chips(row.notes),
    tie: (row) => tieMarks(row, letters),
    difference: (row) => el("span", { class: leaning(row) }, text(row)),
  };
  return {
    key,
    title,
    legend,
    right,
    order,
    down: numbers && key !== "rank_best",
    header: key === "label",
    cell: cells[key] ?? text,
  };
}

/** Letters in columns of their own, so that rows that share one stand under each other. */
function tieMarks(row, letters) {
  return el("span", { class: "tie" }, letters.map((letter) => (row.tie.includes(letter) ? letter : "\u00a0")).join(""));
}

/** "better" or "worse" where the interval of the difference does not hold zero. */
function leaning(row) {
  if (!row.difference) return "";
  return row.difference[0] > 0 ? "better" : row.difference[2] < 0 ? "worse" : "";
}

function intervals(board) {
  const known = board.rows.filter((row) => row.interval);
  const low = Math.floor(Math.min(...known.map((row) => row.interval[0])) / 5) * 5,
    high = Math.ceil(Math.max(...known.map((row) => row.interval[2])) / 5) * 5;
  const place = scale([low, high], [8, 172]),
    base = board.rows.find((row) => row.baseline && row.interval);
  return {
    key: "interval",
    title: "interval",
    legend: "accuracy with its 95 % interval; the dotted line is direct",
    foot: () => axis(place, "", 4),
    cell: (row) =>
      row.interval &&
      intervalBar({ low: row.interval[0], mid: row.interval[1], high: row.interval[2] }, place, {
        kind: leaning(row),
        reference: base ? base.interval[1] : null,
      }),
  };
}

/** The rows as they are shown, in the form of the file that stands beside the page. */
function copied(task, shown, rows, sort, form) {
  const by = shown.find(({ key }) => key === sort.replace(/^-/, ""));
  const ordered = by ? inOrder(rows, boardColumn(task, rows, by), sort.startsWith("-")) : rows;
  if (form === "CSV") {
    const known = (text) => (text === "—" ? null : text);
    const value = (row, key) => valueOf(task, row, key) ?? known(textOf(task, row, key));
    return asCsv(
      shown.map(({ key }) => key),
      ordered.map((row) => shown.map(({ key }) => value(row, key))),
    );
  }
  return COPIED[form](
    shown.map(({ title }) => title),
    ordered.map((row) => shown.map(({ key }) => textOf(task, row, key))),
    shown.map(({ right }) => right),
  );
}
