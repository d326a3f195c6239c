// Which items are what, and which of them the reader asks for. Offers: data, STATES, before, after, stateOf, KINDS,
// SHOWN, itemsLeft, countLink.

const data = islandData();
const STATES = ["right", "wrong", "unreadable"];
const KINDS = [...new Set(data.records.flatMap((record) => Object.keys(record.groups)))];

/** What a run answered: the one of this report, and the one that it is compared with, if it has the item. */
const after = (record) => record.arms.at(-1);
const before = (record) => (record.arms.length > 1 ? record.arms[0] : null);

/** "right", "wrong" or "unreadable"; null where it is not scored. */
function stateOf(arm) {
  if (arm === null || arm.right === null) return null;
  if (arm.right) return "right";
  return arm.readable ? "wrong" : "unreadable";
}

const labelOf = (record) => after(record).label;

/** What can be asked for, by key: its name, and whether an item is of that kind. */
const SHOWN = {
  fixed: ["Fixed", (record) => record.fate === "fixed"],
  broken: ["Broken", (record) => record.fate === "broken"],
  right: ["Kept right", (record) => record.fate === "kept right"],
  wrong: ["Kept wrong", (record) => record.fate === "kept wrong"],
  unreadable: ["Unreadable", (record) => stateOf(after(record)) === "unreadable"],
  disagree: [
    "Both name other options",
    (record) => before(record) !== null && before(record).choice !== after(record).choice,
  ],
  split: ["Votes are split", (record) => tallies(record).some((tally) => tally.counts.filter((n) => n > 0).length > 1)],
  label: [
    "The label is wrong",
    (record) => labelOf(record) !== null && record.gold !== null && labelOf(record).choice !== record.gold_at,
  ],
  notes: ["With remarks", (record) => record.arms.some((arm) => arm.notes.length > 0)],
};

const tallies = (record) => record.arms.flatMap((arm) => [arm.label, arm.votes]).filter(Boolean);

/** The items that the filters leave, in the order of the run. */
function itemsLeft(now) {
  const words = now.q.toLowerCase().split(/\s+/).filter(Boolean);
  return data.records.filter(
    (record) =>
      (!SHOWN[now.show] || SHOWN[now.show][1](record)) &&
      (!now.from || stateOf(before(record)) === now.from) &&
      (!now.to || stateOf(after(record)) === now.to) &&
      (!now.group || record.groups[now.by] === now.group) &&
      (words.length === 0 || words.every((word) => searched(record).includes(word))),
  );
}

const texts = new Map();
function searched(record) {
  if (!texts.has(record)) {
    const said = record.arms.map((arm) => arm.response ?? "");
    texts.set(
      record,
      [record.id, record.question, ...record.options, ...Object.values(record.groups), ...said]
        .join("\n")
        .toLowerCase(),
    );
  }
  return texts.get(record);
}

/** A number that opens the items it counts. `wanted` is the part of the state that selects them. */
function countLink(n, wanted, state, told) {
  if (!n) return "0";
  const none = { q: "", show: "", from: "", to: "", by: "", group: "", sort: "", item: "", more: "" };
  return el(
    "a",
    { href: state.link({ ...none, view: "items", ...wanted }), "aria-label": `${n} items: ${told}` },
    String(n),
  );
}
