// Text for the clipboard, and tables as markdown, CSV and LaTeX: the forms that the files beside the page have.
// The data comes without control and invisible characters (cells.plain).
// Offers: copyButton, asMarkdown, asCsv, asLatex.

/** A button that copies what text() returns. */
function copyButton(label, text) {
  const button = el("button", { type: "button", class: "quiet", click: copy }, label);
  return button;

  async function copy() {
    const done = await toClipboard(text());
    announce(done ? `${label}: copied` : `${label}: the browser does not let this page copy`);
    button.textContent = done ? "Copied" : "Not allowed";
    setTimeout(() => {
      button.textContent = label;
    }, 1500);
  }
}

async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // older browsers, and those that treat files as insecure
    const area = el("textarea", { class: "visually-hidden", "aria-hidden": "true" });
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** A GitHub table. `rights` says of each column whether it is flush right. */
function asMarkdown(titles, lines, rights) {
  const line = (cells) => `| ${cells.map(markdownCell).join(" | ")} |`;
  const rule = `|${rights.map((right) => (right ? "---:" : "---")).join("|")}|`;
  return [line(titles), rule, ...lines.map(line)].join("\n") + "\n";
}

const MARKUP = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

function markdownCell(text) {
  return text
    .replace(/[&<>]/g, (char) => MARKUP[char])
    .replace(/[\\`|*~]|\](?=[([:])|(?<![\p{L}\p{N}])_+|_+(?![\p{L}\p{N}])/gu, (found) => found.replace(/./gu, "\\$&"));
}

/** Lines of texts and numbers (null: empty); no spreadsheet takes a text for a formula. */
function asCsv(titles, lines) {
  return [titles, ...lines].map((cells) => cells.map(csvCell).join(",")).join("\n") + "\n";
}

function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A tabular with rules of booktabs. */
function asLatex(titles, lines, rights) {
  const line = (cells) => `${cells.map(latexCell).join(" & ")} \\\\`;
  const form = rights.map((right) => (right ? "r" : "l")).join("");
  return (
    [
      `\\begin{tabular}{${form}}`,
      "\\toprule",
      line(titles),
      "\\midrule",
      ...lines.map(line),
      "\\bottomrule",
      "\\end{tabular}",
    ].join("\n") + "\n"
  );
}

const LATEX = {
  "\\": "\\textbackslash{}",
  "&": "\\&",
  "%": "\\%",
  $: "\\$",
  "#": "\\#",
  _: "\\_",
  "{": "\\{",
  "}": "\\}",
  "~": "\\textasciitilde{}",
  "^": "\\textasciicircum{}",
  "<": "\\textless{}",
  ">": "\\textgreater{}",
  "|": "\\textbar{}",
  Δ: "$\\Delta$",
  "±": "$\\pm$",
  "—": "---",
  "–": "--",
  "…": "\\ldots{}",
};

function latexCell(text) {
  const safe = text.replace(/[\\&%$#_{}~^<>|Δ±—–…]/g, (char) => LATEX[char]);
  return /^[[*]/.test(safe) ? `{}${safe}` : safe; // the end of the line before would take it for its argument
}
