// The items: which are asked for, a list of them, and the one that is open. Offers: itemsView, itemFilters,
// keepPlace, groupKey.

const DRAWN = 200; // rows of the list; the others on demand

// What an item must be, by its states in A and in B: the nine pairs, and what they add up to.
const SHOWN = {
  "": ["All items", () => true],
  won: ["Won by B", (a, b) => a !== "right" && b === "right"],
  lost: ["Lost by B", (a, b) => a === "right" && b !== "right"],
  changed: ["Won or lost", (a, b) => (a === "right") !== (b === "right")],
  reading: ["Read in one run alone", (a, b) => (a === "unreadable") !== (b === "unreadable")],
  otherwise: [
    "Another option",
    (a, b, item) => item.arms[0].choice !== null && item.arms[1].choice !== null && !item.alike,
  ],
};
const STATES = ["right", "wrong", "unreadable"];
for (const a of STATES)
  for (const b of STATES) SHOWN[`${a}-${b}`] = [`${a} in A, ${b} in B`, (one, other) => one === a && other === b];

function itemsView(data, now, state) {
  const [, asked] = SHOWN[Object.hasOwn(SHOWN, now.show) ? now.show : ""],
    words = now.q.toLowerCase().split(/\s+/).filter(Boolean);
  const left = data.items.filter(
    (item) =>
      asked(...item.states, item) &&
      (!now.group || Object.entries(item.groups).some(([kind, name]) => groupKey(kind, name) === now.group)) &&
      words.every((word) => textOf(item).includes(word)),
  );
  const by = itemColumns(state).find(({ key }) => key === now.sort.replace(/^-/, ""));
  const ordered = by ? inOrder(left, by, now.sort.startsWith("-")) : left;
  const open = ordered.find((item) => item.id === now.item) ?? ordered[0];
  const told = `${left.length} of ${data.items.length} items`;
  announce(told);
  return [
    told,
    open
      ? el("div", { class: "split" }, itemList(ordered, open, now, state), openItem(data, ordered, open, state))
      : nothingLeft(state),
  ];
}

const nameOf = (item) => item.id || "(no id)";
const groupKey = (kind, name) => JSON.stringify([kind, name]);

const texts = new WeakMap();
function textOf(item) {
  if (!texts.has(item))
    texts.set(
      item,
      [item.id, item.question, item.gold ?? "", ...item.options, ...item.arms.map((arm) => arm.response ?? "")]
        .join("\n")
        .toLowerCase(),
    );
  return texts.get(item);
}

/** The form that chooses the items, made once; returns what brings it up to date with the state. */
function itemFilters(form, data, state) {
  const choice = (key, label, options) => {
    const change = (event) => state.set({ [key]: event.target.value, item: "" });
    const select = el(
      "select",
      { change },
      options.map(([value, text]) => el("option", { value }, text)),
    );
    return [key, select, el("label", {}, label, select)];
  };
  const groups = data.groups.flatMap(({ kind, rows }) =>
    rows.map((row) => [groupKey(kind, row.title), `${kind}: ${row.title}`]),
  );
  const choices = [
    choice(
      "show",
      "Show",
      Object.entries(SHOWN).map(([key, [title]]) => [key, title]),
    ),
  ];
  if (groups.length > 0) choices.push(choice("group", "Group", [["", "All groups"], ...groups]));
  const find = el("input", {
    type: "search",
    autocomplete: "off",
    spellcheck: "false",
    input: (event) => state.adjust({ q: event.target.value, item: "" }),
  });
  const counted = el("p", { class: "note push" });
  form.addEventListener("submit", (event) => event.preventDefault());
  fill(
    form,
    choices.map(([, , label]) => label),
    el("label", {}, "Find", find),
    counted,
  );
  return (now, told) => {
    for (const [key, select] of choices) select.value = now[key];
    if (find.value !== now.q) find.value = now.q;
    counted.textContent = told;
  };
}

function itemColumns(state) {
  const arm = (place) => ({
    key: "ab"[place],
    title: "AB"[place],
    order: (item) => `${STATES.indexOf(item.states[place])} ${answerOf(item, place)}`,
    cell: (item) => el("span", { class: item.states[place] === "right" ? "better" : "worse" }, answerOf(item, place)),
  });
  return [
    {
      key: "id",
      title: "item",
      header: true,
      order: (item) => item.id,
      cell: (item) => [
        el("a", { href: state.link({ item: item.id }), "data-focus": `item ${item.id}` }, nameOf(item)),
        el("span", { class: "asked" }, item.question),
      ],
    },
    arm(0),
    arm(1),
  ];
}

/** What a run answered, in as few words as a list has room for. */
function answerOf(item, place) {
  const { choice, response } = item.arms[place];
  if (item.states[place] === "unreadable") return "unreadable";
  const text = item.options[choice] ?? response ?? "—";
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}

function itemList(ordered, open, now, state) {
  const all = now.all !== "" || ordered.length <= DRAWN + 20;
  const rows = all ? ordered : [...ordered.slice(0, DRAWN), ...(ordered.indexOf(open) >= DRAWN ? [open] : [])];
  const table = dataTable({
    caption: "The items",
    columns: itemColumns(state),
    rows,
    sort: now.sort,
    sorted: (sort) => state.set({ sort }),
    mark: (item) => (item === open ? "chosen" : ""),
  });
  const more = () => state.set({ all: "yes" });
  return el(
    "div",
    { class: "list" },
    table,
    !all && el("button", { type: "button", class: "quiet", click: more }, `Show all ${ordered.length} items`),
  );
}

/** Keep a list at its place when it is drawn anew, and the open item in sight. */
function keepPlace(container, redraw) {
  const before = container.querySelector(".list .scroll")?.scrollTop ?? 0;
  redraw();
  const pane = container.querySelector(".list .scroll"),
    row = pane?.querySelector(".chosen");
  if (!row) return;
  pane.scrollTop = before;
  const above = row.getBoundingClientRect().top - pane.getBoundingClientRect().top;
  if (above < row.offsetHeight || above > pane.clientHeight - row.offsetHeight)
    pane.scrollTop += above - pane.clientHeight / 3;
}

let card = { item: null, element: null }; // kept while its item is open, so that what plays goes on

function openItem(data, ordered, item, state) {
  if (card.item !== item) {
    const sound = item.clips.length > 0 ? player(item.clips, data.sounds) : null;
    card = { item, element: sampleCard(item, { player: sound }) };
  }
  const at = ordered.indexOf(item);
  const step = (label, to) => {
    const click = () => state.set({ item: ordered[to].id });
    return el("button", { type: "button", class: "quiet", disabled: !ordered[to], "data-focus": label, click }, label);
  };
  return el(
    "div",
    { class: "open" },
    el(
      "div",
      { class: "item-head" },
      el("h2", {}, nameOf(item)),
      el("p", { class: "note" }, `${at + 1} of ${ordered.length}`),
      step("Previous", at - 1),
      step("Next", at + 1),
    ),
    card.element,
  );
}

function nothingLeft(state) {
  const clear = () => state.set(ITEMS);
  return el(
    "p",
    { class: "note" },
    "No item matches the filters. ",
    el("button", { type: "button", class: "quiet", click: clear }, "Show all items"),
  );
}
