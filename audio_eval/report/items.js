// The items: filters, a table of those that are left, and one of them in the drawer. Offers: itemsView, filterForm,
// openItem.

const PART = 100; // items of a table; more are drawn when asked for

/** The form of the filters; show(now, left) brings it up to date. */
function filterForm(form, state) {
  form.addEventListener("submit", (event) => event.preventDefault());
  const found = el("input", {
    type: "search",
    autocomplete: "off",
    spellcheck: "false",
    input: (event) => state.adjust({ q: event.target.value, more: "" }),
  });
  const select = (key, usual, pairs) =>
    el(
      "select",
      { change: (event) => state.set({ [key]: event.target.value, more: "", ...(key === "by" ? { group: "" } : {}) }) },
      [["", usual], ...pairs].map(([value, text]) => el("option", { value }, text)),
    );
  const kinds = Object.entries(SHOWN).filter(([, [, is]]) => data.records.some(is));
  const states = STATES.map((one) => [one, one]);
  const selects = {
    show: select(
      "show",
      "All items",
      kinds.map(([key, [name]]) => [key, name]),
    ),
    from: data.arms.length > 1 && select("from", "any", states),
    to: select("to", "any", states),
    by:
      KINDS.length > 0 &&
      select(
        "by",
        "No group",
        KINDS.map((kind) => [kind, kind]),
      ),
  };
  const group = el("select", { change: (event) => state.set({ group: event.target.value, more: "" }) });
  const counted = el("p", { class: "note push" });
  fill(
    form,
    el("label", {}, "Find", found),
    el("label", {}, "Show", selects.show),
    selects.from && el("label", {}, `${data.arms[0]} is`, selects.from),
    el("label", {}, `${data.arms.at(-1)} is`, selects.to),
    selects.by && [el("label", {}, "Groups by", selects.by), el("label", {}, "Group", group)],
    counted,
  );
  let listed = null;
  return {
    show(now, left) {
      if (found.value !== now.q) found.value = now.q;
      for (const [key, one] of Object.entries(selects)) if (one) one.value = now[key];
      if (listed !== now.by) {
        const names = [...new Set(data.records.map((record) => record.groups[now.by]).filter(Boolean))].sort(
          compareTexts,
        );
        fill(
          group,
          el("option", { value: "" }, "All"),
          names.map((name) => el("option", { value: name }, name)),
        );
        listed = now.by;
      }
      group.disabled = !now.by;
      group.value = now.group;
      counted.textContent = `${left} of ${data.records.length} items`;
      announce(counted.textContent);
    },
  };
}

function itemsView(now, state) {
  const columns = itemColumns(state),
    left = inOrderOf(now, columns);
  if (left.length === 0) {
    const clear = () => state.set({ q: "", show: "", from: "", to: "", by: "", group: "" });
    return [
      el(
        "p",
        { class: "note" },
        "No item matches the filters. ",
        el("button", { type: "button", class: "quiet", click: clear }, "Show all items"),
      ),
    ];
  }
  const shown = PART * (1 + Number(now.more || 0));
  return [
    dataTable({
      caption: "Items",
      columns,
      rows: left.slice(0, shown),
      sort: now.sort,
      sorted: (sort) => state.set({ sort, more: "" }),
    }),
    left.length > shown &&
      el(
        "button",
        {
          type: "button",
          class: "quiet",
          "data-focus": "more",
          click: () => state.adjust({ more: String(Number(now.more || 0) + 1) }),
        },
        `Show ${Math.min(PART, left.length - shown)} more of ${left.length}`,
      ),
  ];
}

/** The items that are left, sorted as the table is. */
function inOrderOf(now, columns = itemColumns()) {
  const left = itemsLeft(now);
  const by = columns.find((column) => column.key === now.sort.replace(/^-/, "") && column.order);
  return by ? inOrder(left, by, now.sort.startsWith("-")) : left;
}

function itemColumns(state) {
  const cut = (text, longest) => (text.length > longest ? `${text.slice(0, longest)}…` : text);
  const said = (arm, record) => {
    if (!arm || arm.response === null) return "—";
    const [verdict, kind] = verdictOf(arm);
    const text = arm.choice === null ? arm.response : (record.options[arm.choice] ?? letterAt(arm.choice));
    return el("span", { class: kind || null, title: verdict }, cut(text || "(empty)", 40));
  };
  return [
    {
      key: "id",
      title: "item",
      header: true,
      order: (record) => record.id,
      cell: (record) =>
        el(
          "button",
          {
            type: "button",
            class: "link",
            "data-focus": `item ${record.id}`,
            click: () => state.set({ item: record.id }),
          },
          record.id || "(no id)",
        ),
    },
    {
      key: "question",
      title: "question",
      order: (record) => record.question,
      cell: (record) => cut(record.question, 80),
    },
    { key: "gold", title: "answer", order: (record) => record.gold, cell: (record) => cut(record.gold ?? "—", 40) },
    ...data.arms.map((name, i) => {
      const arm = i === data.arms.length - 1 ? after : before;
      return {
        key: `arm ${i}`,
        title: name,
        order: (record) => arm(record) && verdictOf(arm(record))[0],
        cell: (record) => said(arm(record), record),
      };
    }),
    ...(data.arms.length > 1
      ? [
          {
            key: "fate",
            title: "became",
            order: (record) => record.fate,
            cell: (record) => record.fate && fateChip(record.fate),
          },
        ]
      : []),
    ...(data.records.some((record) => record.sure !== null)
      ? [
          {
            key: "sure",
            title: "vote",
            legend: "confidence of the vote, 0 to 1",
            right: true,
            down: true,
            order: (record) => record.sure,
            cell: (record) => (record.sure === null ? "—" : record.sure.toFixed(2)),
          },
        ]
      : []),
  ];
}

/** One item in the drawer, with the ones before and after it in the table. */
function openItem(side, record, now, state) {
  const left = inOrderOf(now),
    at = left.indexOf(record);
  const step = (by, text) =>
    el(
      "button",
      {
        type: "button",
        class: "quiet",
        disabled: at < 0 || !left[at + by],
        "data-focus": text,
        click: () => state.adjust({ item: left[at + by].id }),
      },
      text,
    );
  const place = at < 0 ? "" : `${at + 1} of ${left.length}`;
  const focus = document.activeElement?.dataset.focus;
  side.open(
    record.id || "(no id)",
    el("div", { class: "bar" }, step(-1, "Previous"), step(1, "Next"), el("span", { class: "note" }, place)),
    sampleCard(record, { player: player(record.clips, data.sounds) }),
  );
  if (focus) document.querySelector(`.drawer [data-focus="${CSS.escape(focus)}"]`)?.focus();
}
