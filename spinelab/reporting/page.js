"use strict";

// Figures are drawn when they are first shown: a hidden one has no width to fill.
function draw(section) {
  for (const plot of section.querySelectorAll(".plot:empty")) {
    const figure = JSON.parse(plot.nextElementSibling.textContent);
    Plotly.newPlot(plot, figure.data, figure.layout, { responsive: true, displayModeBar: false });
  }
}

const sections = document.querySelectorAll("section.metric");
const buttons = document.querySelectorAll(".metrics button");
const others = document.querySelector(".metrics select");

function show(metric) {
  for (const section of sections) section.hidden = section.dataset.metric !== metric;
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.metric === metric));
  if (others) others.value = [...others.options].some((option) => option.value === metric) ? metric : "";
  for (const section of document.querySelectorAll("section:not([hidden])")) draw(section);
}
others?.addEventListener("change", () => show(others.value || sections[0].dataset.metric));
for (const button of buttons) button.addEventListener("click", () => show(button.dataset.metric));
if (sections.length) show(sections[0].dataset.metric);
else draw(document);

// Names sort from A, numbers from the largest; a second click turns it round; what has no value stays last.
function sort(header) {
  const index = header.cellIndex;
  const up = header.hasAttribute("aria-sort") ? header.getAttribute("aria-sort") === "descending" : index === 0;
  const body = header.closest("table").tBodies[0];
  const value = (row) => row.cells[index].dataset.value;
  const order = (a, b) => (index === 0 ? a.localeCompare(b) : a - b) * (up ? 1 : -1);
  const rows = [...body.rows].sort((a, b) => (value(a) === "") - (value(b) === "") || order(value(a), value(b)));
  body.append(...rows);
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", up ? "ascending" : "descending");
}
for (const button of document.querySelectorAll(".scores thead button"))
  button.addEventListener("click", () => sort(button.closest("th")));

const dialog = document.querySelector("dialog");
for (const button of document.querySelectorAll(".enlarge"))
  button.addEventListener("click", () => {
    const picture = button.querySelector("img");
    dialog.querySelector("img").src = picture.src;
    dialog.querySelector("span").textContent = picture.alt;
    dialog.showModal();
  });

// A score leads to the runs that it was made from.
for (const link of document.querySelectorAll("a.mean"))
  link.addEventListener("click", () => { document.querySelector(link.getAttribute("href")).open = true; });
