// Elements. Every text of a page goes through el() as a text node, so that no name, answer or response is ever parsed
// as markup. Offers: el, fill, redraw, byId, islandData, toldInHead, announce, compact.

const byId = (id) => document.getElementById(id);

/** The data of the page, as Python gave it to Page.render. */
const islandData = () => JSON.parse(byId("data").textContent);

/** What Page.meta says under this name; null where it says nothing. */
const toldInHead = (name) => document.querySelector(`meta[name="${CSS.escape(name)}"]`)?.content ?? null;

/**
 * An element. Attributes: functions are listeners by the name of their event ("click"), booleans are set or left out,
 * null is left out. Children: elements, texts, arrays of them; null and false are left out.
 */
function el(tag, attributes = {}, ...children) {
  return fill(dress(document.createElement(tag), attributes), ...children);
}

/** Give an element these children instead of those it has. */
function fill(element, ...children) {
  element.replaceChildren(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** Fill a part of the page anew; the focus stays at the element that has the same data-focus as the one that had it. */
function redraw(element, ...children) {
  const focus = element.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  fill(element, ...children);
  if (focus !== undefined) element.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
}

function dress(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "href" || name === "src") element.setAttribute(name, harmless(String(value)));
    else if (name === "style" || name === "srcdoc" || name.startsWith("on")) throw new Error(`no attribute ${name}`);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  return element;
}

// A link of this page, a web page, a file beside this one, or embedded media: never a script.
function harmless(address) {
  if (/^(#|https:\/\/|blob:|data:(audio|image)\/)/.test(address) || !/^[^/?#]*:/.test(address)) return address;
  return "#";
}

/** Tell a screen reader what happened. */
function announce(text) {
  byId("announce").textContent = text;
}

/** A number with as many digits as it takes to tell it from its neighbours: 1,234,567 -> 1.23 M. */
function compact(number) {
  for (const [size, unit] of [
    [1e9, " G"],
    [1e6, " M"],
    [1e4, " k"],
  ]) {
    if (Math.abs(number) >= size) return `${Number((number / (unit === " k" ? 1e3 : size)).toPrecision(3))}${unit}`;
  }
  return String(Number(number.toPrecision(4)));
}

byId("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the part of the address behind # is the state of the page
  byId("main").focus();
});

// Colours: as the system has them, light, dark.
{
  const button = byId("theme"),
    order = ["system", "light", "dark"],
    root = document.documentElement;
  const show = () => {
    const now = root.dataset.theme ?? "system";
    button.textContent = `Colours: ${now}`;
    button.setAttribute("aria-label", `Colours: ${now === "system" ? "as the system has them" : now}. Change.`);
  };
  button.addEventListener("click", () => {
    const next = order[(order.indexOf(root.dataset.theme ?? "system") + 1) % order.length];
    if (next === "system") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      localStorage.setItem("audio-eval colours", next);
    } catch {
      /* no storage: the choice is for this visit */
    }
    show();
  });
  show();
}
