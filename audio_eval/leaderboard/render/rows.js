// Which rows the reader asks for. Offers: data, matches, shows, valueOf, textOf, openRow,
// chips, noneLeft.

const data = islandData();

/** Whether a row, or a figure that others report, is among those that the filters leave. */
function matches(row, now) {
  const text = [row.label, row.model, row.method, row.source, ...(row.notes ?? [])].join("\n").toLowerCase();
  return (
    (!now.model || row.model === now.model) &&
    (!now.method || (row.method || "not stated") === now.method) &&
    now.q
      .toLowerCase()
      .split(/\s+/)
      .every((word) => text.includes(word))
  );
}

/** Whether rows of this kind, "measured" or "reported", are asked for. */
const shows = (kind, now) => !now.show || now.show === kind;

const placeOf = (task, key) => task.columns.findIndex((column) => column.key === key);
const valueOf = (task, row, key) => row.values[placeOf(task, key)] ?? null;
const textOf = (task, row, key) => row.texts[placeOf(task, key)] ?? "—";

/** The name of a row, as a button that opens what is behind it. */
function openRow(row, state, label = row.label) {
  return el(
    "button",
    { type: "button", class: "link", "data-focus": `row ${row.id}`, click: () => state.set({ row: row.id }) },
    label,
  );
}

/** Notes of a row as chips; those that say that scored items were learned from stand out. */
function chips(notes) {
  return notes.map((note) => el("span", { class: /scored item|test labels/.test(note) ? "chip warn" : "chip" }, note));
}

/** What stands in the place of a table without rows. */
function noneLeft(state) {
  const clear = () => state.set({ q: "", model: "", method: "", show: "" });
  return el(
    "p",
    { class: "note" },
    "No row matches the filters. ",
    el("button", { type: "button", class: "quiet", click: clear }, "Show all rows"),
  );
}
