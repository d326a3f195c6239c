// The page of a run: its views and filters, all of it in the address.

const VIEWS = {
  "": ["Overview", overviewView],
  training: ["Training", curvesView],
  votes: ["Votes", votesView],
  items: ["Items", itemsView],
  provenance: ["Provenance", provenanceView],
};
const AGAIN = 30; // seconds after which the page of a run under way is read anew

const state = hashState(
  { view: "", q: "", show: "", from: "", to: "", by: "", group: "", kind: "", sort: "", more: "", item: "" },
  changed,
);
const filters = filterForm(byId("filters"), state);
const side = drawer(() => state.set({ item: "" }));
if (data.progress) followRun(data.progress);
state.start();

function changed(now, earlier) {
  if (Object.keys(now).some((key) => key !== "item" && now[key] !== earlier[key])) draw(now);
  const record = now.item && data.records.find(({ id }) => id === now.item);
  if (!record) side.close();
  else if (now.item !== earlier.item) openItem(side, record, now, state);
}

function draw(now) {
  const view = VIEWS[now.view] ? now.view : "";
  redraw(
    byId("views"),
    Object.entries(VIEWS).map(([key, [name]]) =>
      el(
        "li",
        {},
        el(
          "a",
          {
            href: state.link({ view: key, sort: "", item: "", more: "" }),
            "aria-current": key === view ? "page" : null,
            "data-focus": `view ${key}`,
          },
          name,
          key === "items" && el("span", { class: "count" }, ` ${data.records.length}`),
        ),
      ),
    ),
  );
  byId("filters").hidden = view !== "items";
  if (view === "items") filters.show(now, itemsLeft(now).length);
  redraw(byId("content"), ...VIEWS[view][1](now, state));
}

// How far the run is. Its file is written anew meanwhile, and read anew unless an item is open.
function followRun({ stages, written }) {
  const waiting = el("input", { type: "checkbox", checked: true });
  fill(
    byId("progress"),
    el("h2", {}, "Under way"),
    el(
      "ul",
      { class: "stages" },
      stages.map(({ name, done, of }) =>
        el(
          "li",
          {},
          el("span", {}, `${name}: ${done}${of ? ` of ${of}` : ""}`),
          of && el("progress", { max: of, value: done, "aria-label": name }),
        ),
      ),
    ),
    el(
      "p",
      { class: "note" },
      `Written ${written}. `,
      location.protocol === "file:" && el("label", {}, waiting, ` read it anew every ${AGAIN} seconds`),
    ),
  );
  if (location.protocol !== "file:") return; // a server knows when there is more to see
  setInterval(() => {
    if (waiting.checked && !document.querySelector("dialog[open]")) location.reload();
  }, AGAIN * 1000);
}
