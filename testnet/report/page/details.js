"use strict";

/* Details: the facts of the selected event, and the lineage of its message as a tree. */

const MAX_TREE = 400;

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

function facts(rows) {
  const list = element("dl");
  for (const [name, value, className] of rows) {
    if (value === null || value === undefined || value === "") continue;
    list.append(element("dt", { textContent: name }), element("dd", { textContent: value, className: className ?? "" }));
  }
  return list;
}

/** Show an item; `act` has `select(item)`, `only(isOnly)` and `isOnly`. */
function showDetails(panel, item, act) {
  panel.className = item ? "" : "idle";
  panel.replaceChildren(...(item ? detailsOf(item, act) : legend()));
  panel.scrollTop = 0;
}

function detailsOf(item, act) {
  const close = element("button", { type: "button", className: "close", textContent: "Close", onclick: () => act.select(null) });
  const parts = [close, element("h2", { textContent: titleOf(item) }), facts(factsOf(item))];
  if (typeof item.row.beginning === "string") {
    parts.push(element("h3", { textContent: "Body" }), element("pre", { textContent: item.row.beginning || "(empty)" }));
    if (item.row.body > item.row.beginning.length) parts.push(element("small", { textContent: "its beginning; the journal holds no more" }));
  }
  if (item.root !== null) parts.push(...lineageOf(item, act));
  return parts;
}

function titleOf(item) {
  if (item.shape === "arrow" || item.shape === "tick") {
    return `${item.row.response ? "Response" : "Request"}: ${item.label}`;
  }
  const titles = { bar: `Operation: ${item.label}`, cross: item.label, band: `Fault: ${item.label}`, rule: "Violation", life: `${item.row.node} ${item.label}` };
  return titles[item.shape] ?? { link: "Bytes on a link", log: "Log", disk: "Disk", note: "The scenario says" }[item.kind];
}

function factsOf(item) {
  if (item.shape === "arrow" || item.shape === "tick") return factsOfMessage(item);
  const { row } = item;
  const to = item.shape === "band" ? (row.ends === null ? "the end of the run" : seconds(row.ends)) : null;
  return [
    [item.shape === "band" ? "begins" : "at", seconds(item.at)],
    ["ends", to],
    ["held for", item.shape === "band" ? span(item.until - item.at) : null],
    ["kind", row.kind],
    ["node", row.node === "-" ? null : row.node],
    ["nodes", row.nodes && (row.nodes.join(", ") || "all")],
    ["from", row.source],
    ["to", row.target],
    ["what", row.what],
    ["reason", row.reason, "error"],
    ["bytes", row.size],
    ["hash", row.hash],
    ["text", row.text ?? row.words],
    ["message", row.id],
    ["line", row.line],
  ];
}

function factsOfMessage(item) {
  const { row } = item;
  const failures = failuresOf(item).map((each) => each.label).join("; ");
  return [
    ["from", row.source],
    ["in truth on", row.sender === nodeOf(row.source) ? null : row.sender],
    ["to", row.target],
    ["sent", row.sent === null ? "not seen" : seconds(row.sent)],
    ["arrived", row.arrived === null ? "never, as far as is known" : seconds(row.arrived), row.arrived === null ? "error" : ""],
    ["on its way", row.sent !== null && row.arrived !== null && item.kind === "message" ? span(row.arrived - row.sent) : null],
    ["taken", row.taken === null ? null : seconds(row.taken)],
    ["confirmed", row.confirmed === null ? null : seconds(row.confirmed)],
    ["failed", failures, "error"],
    ["expects", row.response ? null : row.expects ? "a response" : "nothing"],
    ["inherits", row.inherits ? "yes" : null],
    ["body", bytes(row.body)],
    ["blob", row.blob === null ? null : bytes(row.blob)],
    ["id", row.id],
    ["parent", row.parent],
    ["root", row.root],
    ["lines", row.lines.join(", ")],
  ];
}

function failuresOf(item) {
  return PICTURE.lineages.get(item.root).filter((each) => each.shape === "cross" && each.id === item.id);
}

/* --- lineage ---------------------------------------------------------------------------------------------------- */

function lineageOf(item, act) {
  const all = PICTURE.lineages.get(item.root);
  const first = Math.max(0, Math.min(all.indexOf(item) - MAX_TREE / 2, all.length - MAX_TREE));
  const items = all.slice(first, first + MAX_TREE);
  const only = element("input", { type: "checkbox", checked: act.isOnly, onchange: () => act.only(only.checked) });
  const heading = element("h3", { textContent: `Lineage (${all.length})` });
  const current = { item, act };
  const tree = treeOf(groupBy(items, (each) => each.id), current);
  const rest = all.length - items.length;
  const more = element("small", { textContent: rest ? `${first} earlier ones and ${rest - first} later ones are left out here` : "" });
  return [heading, element("label", {}, only, "show nothing else"), tree, more];
}

/** Build the tree: a request lies below the one during whose handling it was sent; responses and failures lie with their request. */
function treeOf(byId, current) {
  const lists = new Map();
  const top = element("ul");
  for (const [id, items] of byId) {
    const parent = items[0].row.parent ?? null;
    const entry = element("li", {}, ...items.map((each) => entryOf(each, current)));
    const below = element("ul");
    lists.set(id, below);
    entry.append(below);
    (lists.get(parent) ?? top).append(entry);
  }
  for (const below of lists.values()) if (!below.childElementCount) below.remove();
  return top;
}

function entryOf(item, { item: selected, act }) {
  const where = item.shape === "cross" ? item.row.node : `${nodeOf(item.row.source)} → ${nodeOf(item.row.target)}`;
  const place = item.kind === "local" && item.shape !== "cross" ? nodeOf(item.row.source) : where;
  const button = element("button", { type: "button", onclick: () => act.select(item) });
  button.append(
    element("small", { textContent: `${item.at.toFixed(6)} ` }),
    element("span", { className: item.error ? "failed" : "", textContent: `${item.row.response ? "⇠ " : ""}${item.label}` }),
    element("small", { textContent: `  ${place}` }),
  );
  button.setAttribute("aria-current", String(item === selected));
  return button;
}

/* --- legend ----------------------------------------------------------------------------------------------------- */

function legend() {
  const list = element("div", { className: "legend" });
  for (const [words, draw] of LEGEND) {
    const sample = element("canvas");
    list.append(sample, element("span", { textContent: words }));
    requestAnimationFrame(() => draw(fitCanvas(sample, 44, 16)));
  }
  const keys = element("p", { className: "quiet" });
  keys.append("Click an event, or walk through them: ", key("↓"), " ", key("↑"), ", ", key("←"), " ", key("→"), " along a lineage, ",
    key("Esc"), " lets go, ", key("+"), " ", key("−"), " scale, ", key("/"), " find. Drag over the strip above to choose a time range.");
  return [element("h2", { textContent: "What the signs mean" }), list, keys];
}

function bar(pen, colour, happened) {
  pen.fillStyle = pen.strokeStyle = colour;
  pen.globalAlpha = colour === colours.error || !happened ? 0.95 : 0.4;
  if (happened) pen.fillRect(19, 1, 6, 14);
  else pen.strokeRect(19.5, 1.5, 5, 13);
}

function key(name) {
  return element("kbd", { textContent: name });
}

const LEGEND = [
  ["a request between nodes", (pen) => sampleArrow(pen, colours.request, [])],
  ["a response", (pen) => sampleArrow(pen, colours.response, [5, 3])],
  ["short: nobody was seen to send it", (pen) => sampleArrow(pen, colours.request, [], 42, 22)],
  ["never arrived, as far as is known", (pen) => { sampleArrow(pen, colours.error, [], 24); cross(pen, 26, 8, colours.error, 4); }],
  ["Offline, Timeout or dropped", (pen) => cross(pen, 20, 8, colours.error, 5)],
  ["within a node: request, response", (pen) => { dot(pen, 14, true); dot(pen, 28, false); }],
  ["bytes on a link; longer: a dial", (pen) => sampleStub(pen)],
  ["an operation, from its call to its return", (pen) => bar(pen, colours.response, true)],
  ["one of those that nothing explains", (pen) => bar(pen, colours.error, true)],
  ["one that failed, or of which nobody knows", (pen) => bar(pen, colours.response, false)],
  ["disk", (pen) => { pen.fillStyle = colours.disk; pen.fillRect(18, 7, 5, 3); }],
  ["a fault, over the lanes it touches", (pen) => { pen.fillStyle = colours.fault; pen.globalAlpha = 0.3; pen.fillRect(2, 1, 40, 14); }],
  ["paused", (pen) => { pen.strokeStyle = colours.lane; pen.lineWidth = 7; line(pen, 2, 8, 42, 8); }],
  ["crashed or away", (pen) => { pen.strokeStyle = colours.lane; pen.lineWidth = 1.5; pen.setLineDash([1, 6]); line(pen, 2, 8, 42, 8); }],
];

function sampleArrow(pen, colour, dash, to = 42, from = 2) {
  pen.strokeStyle = colour;
  pen.lineWidth = 1.3;
  pen.setLineDash(dash);
  line(pen, from, 8, to, 8);
  pen.setLineDash([]);
  if (to === 42) arrowHead(pen, to, 8, 0, colour, 7);
}

function dot(pen, x, isFilled) {
  pen.beginPath();
  pen.arc(x, 8, 2.6, 0, 2 * Math.PI);
  pen.strokeStyle = pen.fillStyle = colours.local;
  if (isFilled) pen.fill();
  pen.stroke();
}

function sampleStub(pen) {
  pen.strokeStyle = colours.link;
  line(pen, 4, 8, 17, 8);
  arrowHead(pen, 17, 8, 0, colours.link, 4);
  line(pen, 22, 8, 42, 8);
  arrowHead(pen, 42, 8, 0, colours.link, 4);
}
