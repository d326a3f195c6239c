// What a page has more of when it comes from audio-eval view: the way back to all runs, and that it keeps up with them.
// Uses: el, byId, toldInHead, announce (dom.js). Offers nothing.
{
  const root = toldInHead("root"),
    [LEAST, MOST] = [3, 15], // seconds between two looks at what the page is made of
    SHARE = 0.1; // of the time that the server may take to make it anew
  const kicker = document.querySelector(".kicker");
  if (root) kicker.append(" · ", el("a", { href: root }, "all runs"));
  document
    .querySelector(".page-foot")
    .append(el("p", {}, "Served by audio-eval view to this machine alone; the page asks it for sound and for changes."));
  const told = el("p", { class: "live note", hidden: true });
  document.querySelector(".page-head").after(told);

  const [loaded] = performance.getEntriesByType("navigation");
  const took = (loaded ? loaded.responseEnd - loaded.requestStart : 0) / SHARE,
    wait = Math.min(Math.max(LEAST * 1000, took), MOST * 1000);
  let missed = 0;
  restore();
  setTimeout(look, wait);

  async function look() {
    try {
      if (!document.hidden) await compare();
      missed = 0;
    } catch {
      missed += 1;
      if (missed === 2) say("audio-eval view has ended or cannot be reached; the page stays as it was.");
    }
    setTimeout(look, wait * Math.min(20, missed + 1));
  }

  async function compare() {
    const found = await fetch(location.pathname, { method: "HEAD", cache: "no-store" });
    if (missed > 1) told.hidden = true;
    if (found.status === 404) return say("This run is no longer there; the page stays as it was.");
    if (found.headers.get("ETag") === `"${toldInHead("stamp")}"`) return;
    if (busy()) say("There is more by now. ", el("button", { type: "button", class: "quiet", click: again }, "Show it"));
    else again();
  }

  // Listening, typing, reading an item or selecting a text is not interrupted.
  function busy() {
    const playing = [...document.querySelectorAll("audio")].some((audio) => !audio.paused);
    const typing = document.activeElement?.matches("input, select, textarea");
    return playing || typing || document.querySelector("dialog[open]") || !getSelection().isCollapsed;
  }

  // Choices are in the address, and the browser keeps the place; the focus is kept here.
  function again() {
    try {
      sessionStorage.setItem("audio-eval focus", document.activeElement?.dataset.focus ?? "");
    } catch {
      /* no storage: the focus is lost */
    }
    location.reload();
  }

  function restore() {
    try {
      const focus = sessionStorage.getItem("audio-eval focus");
      sessionStorage.removeItem("audio-eval focus");
      if (focus) document.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
    } catch {
      /* no storage */
    }
  }

  function say(...children) {
    if (!told.hidden && told.textContent === el("p", {}, ...children).textContent) return;
    fill(told, ...children);
    told.hidden = false;
    announce(told.textContent);
  }
}
