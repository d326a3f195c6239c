// What the reader has chosen, kept in the address behind #, so that a link shows the same. Offers: hashState.

/**
 * State with texts for values. `usual` has every key with its usual value, which the address leaves out.
 * `changed(now, before)` is called at first and after every change, also by the browser's back and forward.
 * set({key: value}) goes to a new place in the history; adjust({key: value}) stays at it, for what is typed.
 */
function hashState(usual, changed) {
  let now = null;

  function read() {
    const found = new URLSearchParams(location.hash.slice(1));
    return Object.fromEntries(Object.entries(usual).map(([key, value]) => [key, found.get(key) ?? value]));
  }

  function address(values) {
    const told = new URLSearchParams();
    for (const [key, value] of Object.entries(values)) if (value !== usual[key]) told.set(key, value);
    return `#${told}`;
  }

  function go(values) {
    const before = now;
    now = values;
    changed(now, before ?? {});
  }

  function move(change, how) {
    const next = { ...now, ...change };
    if (address(next) === address(now)) return;
    history[how](null, "", address(next));
    go(next);
  }

  addEventListener("popstate", () => {
    if (address(read()) !== address(now)) go(read());
  });
  return {
    start: () => go(read()),
    get: () => now,
    set: (change) => move(change, "pushState"),
    adjust: (change) => move(change, "replaceState"),
    link: (change) => address({ ...now, ...change }),
  };
}
