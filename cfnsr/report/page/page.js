"use strict";
const content = JSON.parse(document.getElementById("content").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const views = {};

function chartConfig() {
  const [text, line] = dark.matches ? ["#c9d2dc", "#3a4653"] : ["#33404d", "#dfe4e9"];
  const font = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif";
  return {
    font,
    axis: { labelColor: text, titleColor: text, domainColor: line, tickColor: line, gridColor: line, labelFontSize: 12, labelLimit: 260 },
    legend: { labelColor: text, titleColor: text, labelFontSize: 12 },
    text: { fontSize: 11 },
    view: { stroke: null },
  };
}

// A chart's switches set its signals of the same name.
function switches(name) {
  return [...document.querySelectorAll(`[data-for~="${name}"] select`)];
}

async function draw(name) {
  const element = document.getElementById(`chart-${name}`);
  const result = await vegaEmbed(element, content.charts[name], {
    actions: false, renderer: "svg", ast: true, config: chartConfig(), mode: "vega-lite",
    loader: { load: () => Promise.reject(new Error("this page loads nothing")) },
  });
  views[name] = result.view;
  for (const select of switches(name)) result.view.signal(select.dataset.signal, select.value);
  await result.view.runAsync();
}

async function drawAll() {
  for (const element of document.querySelectorAll("[data-chart]")) await draw(element.dataset.chart);
  document.body.dataset.drawn = "yes";
}

for (const group of document.querySelectorAll("[data-for]")) {
  group.addEventListener("change", (event) => {
    for (const name of group.dataset.for.split(" ")) {
      views[name]?.signal(event.target.dataset.signal, event.target.value).runAsync();
    }
  });
}

// Figures are sorted by value, words alphabetically; missing figures come last.
function compare(a, b) {
  if ("value" in a.dataset && "value" in b.dataset) return Number(a.dataset.value) - Number(b.dataset.value);
  return a.textContent.localeCompare(b.textContent);
}

function sort(header) {
  const body = header.closest("table").tBodies[0], column = header.cellIndex;
  const previous = header.getAttribute("aria-sort"), words = header.matches(".word, .long");
  const descending = previous ? previous === "ascending" : !words;
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const missing = (cell) => cell.textContent.trim() === "–";
  const rows = [...body.rows].sort((first, second) => {
    const [a, b] = [first.cells[column], second.cells[column]];
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    return descending ? compare(b, a) : compare(a, b);
  });
  body.append(...rows);
}

for (const button of document.querySelectorAll("table.sortable thead button")) {
  button.addEventListener("click", () => sort(button.closest("th")));
}

// Pictures are loaded when shown: several systems may share them.
function show(within) {
  for (const image of within.querySelectorAll("img[data-picture]:not([src])")) image.src = content.pictures[image.dataset.picture];
}

for (const details of document.querySelectorAll("details.mistakes")) {
  details.addEventListener("toggle", () => { if (details.open) show(details); });
}

window.addEventListener("beforeprint", () => show(document));
dark.addEventListener("change", drawAll);
drawAll();
