
"use strict";
// Sorting: a click goes from ascending to descending to the order of the sweep; by number where all cells begin with one.
function value(row, column) {
  return row.cells[column].textContent.trim();
}

function sorted(rows, column, direction) {
  const empty = (text) => text === "" || text === "-";
  const texts = rows.map((row) => value(row, column)).map((text) => text === "base" ? "0" : text);  // a difference
  const numeric = texts.every((text) => empty(text) || /^[+-]?[\d.]+(\s|$|\*)/.test(text));
  const compare = (a, b) => numeric ? parseFloat(a) - parseFloat(b) : a.localeCompare(b, "en", { numeric: true });
  const order = rows.map((row, k) => [texts[k], k, row]);
  order.sort(([a, i], [b, j]) => empty(a) - empty(b) || (empty(a) ? 0 : direction * compare(a, b)) || i - j);
  return order.map(([, , row]) => row);
}

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], original = [...body.rows];
  const heads = [...[...table.tHead.rows].at(-1).cells];  // above it, what several columns have in common
  heads.forEach((head, column) => {
    const label = head.querySelector(".head"), button = document.createElement("button");
    button.type = "button";
    label.replaceWith(button);
    button.append(label);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", next);
      body.append(...(next === "none" ? original : sorted(original, column, next === "ascending" ? 1 : -1)));
      say(`${label.textContent}: ${next === "none" ? "order of the sweep" : next}`);
    });
  });
}

function say(text) {
  document.getElementById("said").textContent = text;
}

// Points of figures: what lies under the pointer or the focus is said beside it.
const tip = document.getElementById("tip");

function showTip(spot) {
  const host = spot.closest("dialog") ?? document.body;  // a modal dialog hides what is outside it
  if (tip.parentNode !== host) host.append(tip);
  tip.textContent = spot.getAttribute("aria-label");
  tip.hidden = false;
  const place = spot.getBoundingClientRect(), size = tip.getBoundingClientRect();
  const left = Math.min(Math.max(4, place.left + place.width / 2 - size.width / 2), innerWidth - size.width - 4);
  const above = place.top - size.height - 6;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 4 ? above : place.bottom + 6}px`;
}

function hideTip() {
  tip.hidden = true;
}

function listen(layer) {
  const spots = [...layer.querySelectorAll("circle")];
  for (const spot of spots) {
    spot.addEventListener("pointerenter", () => showTip(spot));
    spot.addEventListener("pointerleave", hideTip);
    spot.addEventListener("focus", () => showTip(spot));
    spot.addEventListener("blur", hideTip);
  }
  layer.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const at = spots.indexOf(document.activeElement);
    if (event.key === "Escape" && !tip.hidden) { hideTip(); event.preventDefault(); event.stopPropagation(); }
    if (!step || at < 0) return;
    const next = spots[(at + step + spots.length) % spots.length];
    spots[at].setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
    event.preventDefault();
    event.stopPropagation();
  });
}

document.querySelectorAll(".spots").forEach(listen);
addEventListener("scroll", hideTip, { passive: true });

// The viewer: a copy of the figure in a window of its own, as large as one likes; the window scrolls.
const viewer = document.getElementById("viewer"), stage = viewer.querySelector(".stage");
let scale = 1;

function resize(next) {
  const before = stage.scrollWidth, left = stage.scrollLeft + stage.clientWidth / 2;
  const top = stage.scrollTop + stage.clientHeight / 2;
  scale = Math.min(8, Math.max(1, next));
  const canvas = stage.querySelector(".canvas"), image = canvas.querySelector("img");
  const room = stage.getBoundingClientRect(), ratio = image.getAttribute("width") / image.getAttribute("height");
  canvas.style.width = `${scale * Math.min(room.width - 24, (room.height - 24) * ratio)}px`;
  stage.scrollLeft = left * stage.scrollWidth / before - stage.clientWidth / 2;
  stage.scrollTop = top * stage.scrollWidth / before - stage.clientHeight / 2;
  viewer.querySelector("output").textContent = `${Math.round(100 * scale)}%`;
}

for (const button of document.querySelectorAll("button.zoom")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const copy = button.closest("figure").querySelector(".canvas").cloneNode(true);
    stage.replaceChildren(copy);
    copy.querySelectorAll(".spots").forEach(listen);
    viewer.setAttribute("aria-label", copy.querySelector("img").alt);
    viewer.showModal();
    resize(1);
    stage.focus();
  });
}

const zooms = { in: () => resize(scale * 1.4), out: () => resize(scale / 1.4), fit: () => resize(1), close: () => viewer.close() };
viewer.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", zooms[button.dataset.zoom]));
viewer.addEventListener("close", () => { document.body.append(tip); hideTip(); stage.replaceChildren(); });
viewer.addEventListener("keydown", (event) => {
  const action = { "+": zooms.in, "=": zooms.in, "-": zooms.out, "0": zooms.fit }[event.key];
  if (action) { action(); event.preventDefault(); }
});
stage.addEventListener("scroll", hideTip, { passive: true });
stage.addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  resize(scale * Math.exp(-event.deltaY / 300));
}, { passive: false });
stage.addEventListener("pointermove", (event) => {
  if (event.buttons !== 1 || event.pointerType !== "mouse") return;
  stage.scrollLeft -= event.movementX;
  stage.scrollTop -= event.movementY;
});
stage.addEventListener("dragstart", (event) => event.preventDefault());

// The list of all runs, by words that a row must hold.
const filter = document.getElementById("filter"), lines = [...document.querySelectorAll("#all-runs tbody tr")];
filter.closest(".filter").hidden = false;
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const line of lines) {
    const text = line.textContent.toLowerCase();
    line.hidden = !words.every((word) => text.includes(word));
    shown += !line.hidden;
  }
  document.getElementById("shown").textContent = `${shown} of ${lines.length}`;
});
