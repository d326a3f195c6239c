// The page: the verdict, the figures, and one of the views below them; what is shown is in the address.

const VIEWS = { "": "Items", groups: "By group", runs: "How they were made" };
const data = islandData();
const state = hashState({ ...ITEMS, kind: "", all: "" }, draw);
const showFilters = itemFilters(byId("filters"), data, state);

fill(byId("verdict"), verdictPart(data));
state.start();

function draw(now, before) {
  const view = Object.hasOwn(VIEWS, now.view) ? now.view : "";
  redraw(byId("figures"), figuresPart(data, now, state));
  redraw(
    byId("views"),
    Object.entries(VIEWS).map(([key, title]) => {
      const href = state.link({ view: key, sort: "" });
      return el("li", {}, el("a", { href, "aria-current": key === view ? "page" : null, "data-focus": href }, title));
    }),
  );
  byId("filters").hidden = view !== "";
  if (view === "groups") redraw(byId("content"), groupsView(data, now, state));
  else if (view === "runs") redraw(byId("content"), runsView(data));
  else {
    const [told, ...parts] = itemsView(data, now, state);
    showFilters(now, told);
    keepPlace(byId("content"), () => redraw(byId("content"), parts));
  }
  // a number was followed, in the figures above or in a group: bring what it stands for into sight
  const followed = before.show !== undefined && (now.show !== before.show || now.group !== before.group);
  if (followed && (before.view === "groups" || byId("figures").contains(document.activeElement)))
    byId("views").scrollIntoView();
}
