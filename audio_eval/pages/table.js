// A table that is sorted by its headings. Offers: dataTable.

/**
 * A table of `rows`. A column has: key, title, legend, right (flush right), header (it names the row),
 * cell(row) -> what fills the cell (text or elements), order(row) -> number, text or null (sorts; null comes last),
 * down (the first click puts the largest first), foot() -> what stands below the column. `sort` is "key" or "-key" for
 * the largest first, "" for the order given; `sorted(sort)` hears of clicks. `mark(row)` are classes of the row.
 */
function dataTable({ caption, columns, rows, sort = "", sorted = () => {}, mark = () => "" }) {
  const key = sort.replace(/^-/, ""),
    down = sort.startsWith("-");
  const by = columns.find((column) => column.key === key && column.order);
  const shown = by ? inOrder(rows, by, down) : rows;
  const body = el(
    "tbody",
    {},
    shown.map((row) =>
      el(
        "tr",
        { class: mark(row) || null },
        columns.map((column) => cell(column, row)),
      ),
    ),
  );
  const head = el("thead", {}, el("tr", {}, columns.map(heading)));
  const foot =
    columns.some((column) => column.foot) &&
    el(
      "tfoot",
      {},
      el(
        "tr",
        {},
        columns.map((column) => el("td", {}, column.foot?.())),
      ),
    );
  const table = el("table", { class: "data" }, el("caption", { class: "visually-hidden" }, caption), head, body, foot);
  return el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": caption }, table);

  function heading(column) {
    const active = by && column.key === key;
    const classes = column.right ? "right" : null;
    const title = column.legend ? `${column.title}: ${column.legend}` : null;
    if (!column.order) return el("th", { scope: "col", class: classes, title }, column.title);
    const state = active ? (down ? "descending" : "ascending") : null;
    const next = active
      ? down === Boolean(column.down)
        ? (down ? "" : "-") + key
        : ""
      : (column.down ? "-" : "") + column.key;
    const arrow = el("span", { class: "arrow", "aria-hidden": "true" }, active ? (down ? "↓" : "↑") : "");
    const button = el(
      "button",
      { type: "button", "data-focus": `sort ${column.key}`, click: () => sorted(next) },
      column.title,
      arrow,
    );
    return el("th", { scope: "col", class: classes, title, "aria-sort": state }, button);
  }

  function cell(column, row) {
    const classes = [column.right ? "right" : "", column.header ? "name" : ""].join(" ").trim() || null;
    return el(column.header ? "th" : "td", { class: classes, scope: column.header ? "row" : null }, column.cell(row));
  }
}

/** Rows by the value of a column, those without one last either way; equal ones stay in their order. */
function inOrder(rows, column, down) {
  const keyed = rows.map((row) => [column.order(row), row]);
  const known = keyed.filter(([value]) => value !== null && value !== undefined);
  const direction = down ? -1 : 1;
  known.sort(([a], [b]) => direction * (typeof a === "number" && typeof b === "number" ? a - b : compareTexts(a, b)));
  return [...known, ...keyed.filter(([value]) => value === null || value === undefined)].map(([, row]) => row);
}

const compareTexts = new Intl.Collator("en", { numeric: true }).compare;
