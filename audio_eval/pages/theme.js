// The colours that the reader chose on an earlier visit, before anything is painted.
// A browser may refuse storage to files; the page then follows the system.
try {
  const chosen = localStorage.getItem("audio-eval colours");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  /* no storage */
}
