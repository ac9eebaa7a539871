"use strict";
const content = JSON.parse(document.getElementById("content").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const views = {};

function look() {
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
  const place = document.getElementById(`chart-${name}`);
  const result = await vegaEmbed(place, content.charts[name], {
    actions: false, renderer: "svg", ast: true, config: look(), mode: "vega-lite",
    loader: { load: () => Promise.reject(new Error("this page loads nothing")) },
  });
  views[name] = result.view;
  for (const choice of switches(name)) result.view.signal(choice.dataset.signal, choice.value);
  await result.view.runAsync();
  place.dataset.drawn = "yes";
}

async function drawAll() {
  for (const place of document.querySelectorAll("[data-chart]")) await draw(place.dataset.chart);
  document.body.dataset.drawn = "yes";
}

for (const group of document.querySelectorAll("[data-for]")) {
  group.addEventListener("change", (event) => {
    for (const name of group.dataset.for.split(" ")) {
      views[name]?.signal(event.target.dataset.signal, event.target.value).runAsync();
    }
  });
}

// Sorting: figures by their value, words by their letters; what is not there goes last.
function order(cell) {
  return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
}

function sort(header) {
  const table = header.closest("table"), body = table.tBodies[0], column = header.cellIndex;
  const falling = header.getAttribute("aria-sort") !== "descending" && !header.matches(".word, .long, :first-child")
    || header.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const absent = (cell) => cell.textContent.trim() === "–";
  const rows = [...body.rows].sort((one, other) => {
    const [a, b] = [one.cells[column], other.cells[column]];
    if (absent(a) || absent(b)) return absent(a) - absent(b);
    const [x, y] = [order(a), order(b)];
    const less = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
    return falling ? -less : less;
  });
  body.append(...rows);
}

for (const button of document.querySelectorAll("table.sortable thead button")) {
  button.addEventListener("click", () => sort(button.closest("th")));
}

// A clip that several systems get wrong has its pictures in the file once.
function show(within) {
  for (const image of within.querySelectorAll("img[data-picture]:not([src])")) image.src = content.pictures[image.dataset.picture];
}

for (const details of document.querySelectorAll("details.mistakes")) {
  details.addEventListener("toggle", () => { if (details.open) show(details); });
}

window.addEventListener("beforeprint", () => show(document));
dark.addEventListener("change", drawAll);
drawAll();
