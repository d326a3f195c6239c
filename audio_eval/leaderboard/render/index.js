// The page: tasks, views and filters, all of it in the address.

const VIEWS = {
  "": ["Table", tablesView],
  direct: ["Against direct", againstView],
  cost: ["Cost", costView],
  groups: ["Groups", groupsView],
  caveats: ["Before you compare", caveatsView],
};
const MEASURED_ONLY = ["direct", "cost", "groups"];
const state = hashState(
  {
    task: data.tasks.length === 1 ? data.tasks[0].name : "",
    view: "",
    q: "",
    model: "",
    method: "",
    show: "",
    columns: "",
    cost: "",
    kind: "",
    sort: "",
    row: "",
  },
  changed,
);
const side = drawer(() => state.set({ row: "" }));
const rowsOf = (task) => task.boards.flatMap((board) => board.rows);
const figuresOf = (task) => task.reported.flatMap((version) => version.rows);

const found = el("input", {
  type: "search",
  autocomplete: "off",
  spellcheck: "false",
  input: (event) => state.adjust({ q: event.target.value }),
});
const selects = {
  method: options(
    "method",
    "All methods",
    [
      ...new Set(
        data.tasks.flatMap((task) => [...rowsOf(task), ...figuresOf(task)]).map((row) => row.method || "not stated"),
      ),
    ].sort(compareTexts),
  ),
  model: options(
    "model",
    "All models",
    [...new Set(data.tasks.flatMap((task) => [...rowsOf(task), ...figuresOf(task)]).map((row) => row.model))].sort(
      compareTexts,
    ),
  ),
  show: options("show", "Measured and reported", [
    ["measured", "Measured here"],
    ["reported", "Reported by others"],
  ]),
  columns: options("columns", "Main columns", [["all", "All columns"]]),
};
const counted = el("p", { class: "note push" });
byId("filters").addEventListener("submit", (event) => event.preventDefault());
fill(
  byId("filters"),
  el("label", {}, "Find", found),
  el("label", {}, "Method", selects.method),
  el("label", {}, "Model", selects.model),
  el("label", {}, "Rows", selects.show),
  el("label", {}, "Columns", selects.columns),
  counted,
);
state.start();

function options(key, usual, others) {
  const pairs = [["", usual], ...others.map((other) => (Array.isArray(other) ? other : [other, other]))];
  return el(
    "select",
    { change: (event) => state.set({ [key]: event.target.value }) },
    pairs.map(([value, text]) => el("option", { value }, text)),
  );
}

function changed(now, before) {
  const task = data.tasks.find((each) => each.name === now.task) ?? null;
  if (Object.keys(now).some((key) => key !== "row" && now[key] !== before[key])) draw(task, now);
  const row = task && rowsOf(task).find(({ id }) => id === now.row);
  if (row) side.open(row.label, ...provenance(task, row));
  else side.close();
}

function draw(task, now) {
  const tabs = (links) =>
    links.map(([text, count, href, current]) =>
      el(
        "li",
        {},
        el(
          "a",
          { href, "aria-current": current ? "page" : null, "data-focus": href },
          text,
          count === null ? null : el("span", { class: "count" }, ` ${count}`),
        ),
      ),
    );
  redraw(
    byId("tasks"),
    tabs([
      ["All tasks", null, state.link({ task: "", view: "", sort: "", row: "" }), !task],
      ...data.tasks.map((each) => [
        each.name,
        rowsOf(each).length + figuresOf(each).length,
        state.link({ task: each.name, view: each.boards.length ? now.view : "", sort: "", row: "" }),
        each === task,
      ]),
    ]),
  );
  const views = task
    ? Object.keys(VIEWS).filter((view) => task.boards.length > 0 || !MEASURED_ONLY.includes(view))
    : [];
  const view = views.includes(now.view) ? now.view : "";
  redraw(
    byId("views"),
    tabs(views.map((each) => [VIEWS[each][0], null, state.link({ view: each, sort: "", row: "" }), each === view])),
  );
  fill(byId("heading"), el("h2", {}, task ? task.name : "All tasks"));
  byId("filters").hidden = view === "caveats";
  if (found.value !== now.q) found.value = now.q;
  for (const [key, select] of Object.entries(selects)) select.value = now[key];
  selects.columns.disabled = !task || view !== "";
  selects.show.disabled = !task || view !== "";
  const rows = task
    ? [
        ...(shows("measured", now) ? rowsOf(task) : []),
        ...(view === "" && shows("reported", now) ? figuresOf(task) : []),
      ]
    : data.overview.lines;
  const left = rows.filter((row) => matches(row, now)).length;
  counted.textContent = `${left} of ${rows.length} rows`;
  announce(`${left} of ${rows.length} rows`);
  redraw(byId("content"), ...(task ? VIEWS[view][1](task, now, state) : overviewView(now, state)));
  document.title = `${task ? `${task.name} · ` : ""}Leaderboard`;
}
