// The page: the verdict, the figures, and one of the views below them; what is shown is in the address.

const VIEWS = { "": ["Items", itemsView], groups: ["By group", groupsView], runs: ["How they were made", runsView] };
const data = islandData();
const state = hashState({ view: "", show: "", group: "", q: "", item: "", sort: "", kind: "", all: "" }, draw);

fill(byId("verdict"), verdictPart(data));
state.start();

function draw(now) {
  const view = Object.hasOwn(VIEWS, now.view) ? now.view : "";
  redraw(byId("figures"), figuresPart(data, now, state));
  redraw(
    byId("views"),
    Object.entries(VIEWS).map(([key, [title]]) => {
      const href = state.link({ view: key, sort: "" });
      return el("li", {}, el("a", { href, "aria-current": key === view ? "page" : null, "data-focus": href }, title));
    }),
  );
  redraw(byId("content"), VIEWS[view][1](data, now, state));
}
