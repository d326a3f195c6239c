// The list of all runs below the leaderboard, those under way first, and the choice of two to compare.
// Uses: el, fill, redraw, dataTable. Offers nothing.
{
  let sort = "",
    words = [];
  const chosen = []; // keys of at most two runs, the earlier choice first
  const section = el("section", { "aria-labelledby": "runs-title", id: "runs" }),
    list = el("div");
  const count = (state) => data.runs.filter((run) => run.state === state).length;
  const summary = ["under way", "finished", "interrupted", "left out"]
    .filter(count)
    .map((state) => `${count(state)} ${state}`)
    .join(", ");
  const find = el("input", {
    type: "search",
    autocomplete: "off",
    spellcheck: "false",
    input: () => {
      words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      draw();
    },
  });
  const compare = el("a", { class: "quiet", role: "link" }, "Compare");
  fill(
    section,
    el("h2", { id: "runs-title", tabindex: "-1" }, "Runs"),
    el("p", { class: "note" }, summary ? `${summary}.` : "No run yet; the page shows the first one as it begins."),
    data.runs.length > 0 && [
      el("div", { class: "bar" }, el("label", {}, "Find a run", find), compare),
      list,
    ],
  );
  byId("main").append(section);
  const toRuns = el("button", { type: "button", class: "quiet to-runs", click: jump }, `Runs: ${summary || "none"}`);
  byId("theme").before(toRuns);
  document.querySelector(".page-foot > p").remove(); // it speaks of a file and of files beside it
  if (data.tasks.length === 0) for (const part of ["heading", "filters", "content"]) byId(part).hidden = true;
  draw();

  function jump() {
    byId("runs-title").scrollIntoView();
    byId("runs-title").focus({ preventScroll: true });
  }

  function draw() {
    const left = data.runs.filter((run) => words.every((word) => textOf(run).includes(word)));
    redraw(
      list,
      dataTable({ caption: "List of runs", columns: columns(), rows: left, sort, sorted: (by) => ((sort = by), draw()) }),
    );
    tell();
  }

  function textOf(run) {
    return [run.name, run.state, run.method, run.model, run.task].join("\n").toLowerCase();
  }

  function columns() {
    const text = (key, title = key) => ({
      key: `run ${key}`,
      title,
      order: (run) => run[key],
      cell: (run) => run[key] ?? "—",
    });
    const number = (key, show) => ({
      ...text(key),
      right: true,
      down: true,
      cell: (run) => (run[key] === null ? "—" : show(run[key])),
    });
    return [
      { key: "choose", title: "compare", cell: choice },
      {
        key: "run name",
        title: "run",
        header: true,
        order: (run) => run.name,
        cell: (run) => (run.report ? el("a", { href: run.report, "data-focus": `run ${run.key}` }, run.name) : run.name),
      },
      { ...text("state"), cell: (run) => el("span", { class: `state ${run.state.replace(" ", "-")}` }, run.state) },
      text("method"),
      text("model"),
      text("task"),
      number("seed", String),
      number("accuracy", (percent) => percent.toFixed(1)),
      {
        key: "notes",
        title: "notes",
        cell: (run) =>
          run.compared
            ? [
                el("a", { href: run.compared, "aria-label": `${run.name} compared with direct` }, "against direct"),
                ", ",
                el("a", { href: `${run.compared}#show=lost`, "aria-label": `What ${run.name} broke` }, "what it broke"),
              ]
            : run.why,
      },
    ];
  }

  function choice(run) {
    if (run.state !== "finished") return null;
    return el("input", {
      type: "checkbox",
      "aria-label": `Compare ${run.name}`,
      "data-focus": `choose ${run.key}`,
      checked: chosen.includes(run.key),
      change: (event) => {
        if (event.target.checked) chosen.push(run.key);
        else chosen.splice(chosen.indexOf(run.key), 1);
        if (chosen.length > 2) chosen.shift();
        draw();
      },
    });
  }

  function tell() {
    const names = chosen.map((key) => data.runs.find((run) => run.key === key).name);
    if (chosen.length === 2) compare.setAttribute("href", `compare/${chosen.join("/")}/`);
    else compare.removeAttribute("href");
    compare.setAttribute("aria-disabled", String(chosen.length !== 2));
    compare.textContent =
      chosen.length === 2 ? `Compare ${names.join(" with ")}` : `Compare: choose ${2 - chosen.length} more`;
  }
}
