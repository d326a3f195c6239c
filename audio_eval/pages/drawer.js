// A drawer at the side of the page, for what is behind one row or item. Offers: drawer.

/** One drawer. open(title, ...children) shows it with the focus in it; `closed()` hears when the reader closes it. */
function drawer(closed = () => {}) {
  const title = el("h2", { id: "drawer-title" }),
    content = el("div", { class: "drawer-body" });
  const close = el("button", { type: "button", class: "quiet", click: () => dialog.close() }, "Close");
  const dialog = el(
    "dialog",
    { class: "drawer", "aria-labelledby": "drawer-title" },
    el("div", { class: "drawer-head" }, title, close),
    content,
  );
  dialog.addEventListener("close", () => closed());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  }); // beside it
  document.body.append(dialog);
  return {
    open(heading, ...children) {
      fill(title, heading);
      fill(content, ...children);
      if (!dialog.open) dialog.showModal();
      content.scrollTop = 0;
    },
    close: () => dialog.open && dialog.close(),
  };
}
