"use strict";

/* Drawing: one view of a layout on a canvas. A view has `top` and `left` (the part that is scrolled away), `width`, `height`,
   `lanes` (indices of the nodes shown), `laneWidth`, `selected` and `lineage` (a set of items, or null). */

const HEAD = 26;
const GUTTER = 92;
/** The position of a lane in its column: words go to its right more often than to its left. */
const LANE_SHARE = 0.3;
const FONT = "system-ui, sans-serif";

let colours = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["ground", "panel", "edge", "text", "quiet", "lane", "request", "response", "local", "link", "disk", "fault", "error", "selected"];
  colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** Draw, and return the marks that can be pointed at, as boxes and lines. */
function drawView(pen, layout, view) {
  const marks = [];
  const room = { pen, layout, view, marks, taken: new Map() };
  pen.fillStyle = colours.ground;
  pen.fillRect(0, 0, view.width, view.height);
  const items = [...itemsBetween(layout, view.top - 60, view.top + view.height + 20)];
  items.sort((a, b) => a.y - b.y || a.line - b.line);
  const bands = items.filter((each) => each.shape === "band");
  bands.forEach((band) => drawBand(room, band));
  drawTimes(room);
  items.filter((each) => each.shape === "bar").forEach((each) => drawBar(room, each));
  view.lanes.forEach((lane) => drawLane(room, lane));
  const draw = (shape, how) => items.filter((each) => each.shape === shape).forEach((each) => how(room, each));
  ["stub", "square", "tick", "arrow"].forEach((shape) => draw(shape, drawItem));
  draw("band", drawBandWords);
  ["life", "cross", "rule", "saying"].forEach((shape) => draw(shape, drawItem));
  draw("arrow", drawArrowLabel);
  draw("words", drawItem);
  items.filter((each) => each.shape === "bar").sort((a, b) => b.error - a.error).forEach((each) => drawBarWords(room, each));
  drawHeads(room);
  pen.globalAlpha = 1;
  return marks;
}

function drawItem(room, item) {
  const { pen, view } = room;
  if (!["rule", "saying"].includes(item.shape) && !view.place.has(item.from) && !view.place.has(item.to)) return;
  pen.globalAlpha = strength(view, item);
  SHAPES[item.shape](room, item, colourOf(view, item));
}

function strength(view, item) {
  if (!view.lineage || view.lineage.has(item) || ["life", "rule", "saying"].includes(item.shape) || (item.shape === "bar" && item.error)) return 1;
  return 0.13;
}

function colourOf(view, item) {
  if (item === view.selected) return colours.selected;
  if (item.error && item.shape !== "words") return colours.error;
  if (item.kind === "message") return item.row.response ? colours.response : colours.request;
  return { local: colours.local, link: colours.link, disk: colours.disk, life: colours.text }[item.kind] ?? colours.text;
}

function laneX(view, lane) {
  const place = view.place.get(lane);
  return place === undefined ? null : GUTTER + (place + LANE_SHARE) * view.laneWidth - view.left;
}

function screenY(view, y) {
  return y - view.top + HEAD;
}

const SHAPES = { stub: drawStub, square: drawSquare, tick: drawTick, arrow: drawArrow, life: drawLife, cross: drawCross, rule: drawRule, words: drawWords, saying: drawSaying };

/* --- frame ------------------------------------------------------------------------------------------------------ */

function drawHeads({ pen, view }) {
  pen.globalAlpha = 1;
  pen.fillStyle = colours.panel;
  pen.fillRect(0, 0, view.width, HEAD);
  pen.fillStyle = colours.edge;
  pen.fillRect(0, HEAD - 1, view.width, 1);
  pen.font = `600 12px ${FONT}`;
  pen.textBaseline = "middle";
  pen.textAlign = "center";
  pen.fillStyle = colours.text;
  for (const lane of view.lanes) pen.fillText(fitted(pen, NODES[lane], view.laneWidth - 10), headX(pen, view, lane), HEAD / 2);
  pen.fillStyle = colours.panel;
  pen.fillRect(0, 0, GUTTER - 12, HEAD - 1);
  pen.textAlign = "right";
  pen.fillStyle = colours.quiet;
  pen.font = `11px ${FONT}`;
  pen.fillText("seconds", GUTTER - 14, HEAD / 2);
}

/** Draw a node's name above its lane, or beside it where the name would leave its column. */
function headX(pen, view, lane) {
  const half = pen.measureText(fitted(pen, NODES[lane], view.laneWidth - 10)).width / 2;
  return Math.max(laneX(view, lane), laneX(view, lane) - LANE_SHARE * view.laneWidth + half + 4);
}

function drawTimes({ pen, layout, view }) {
  pen.font = `11px ${FONT}`;
  pen.textBaseline = "middle";
  let free = HEAD;
  const { moments } = layout;
  for (let index = Math.max(0, lastMoment(moments, "top", view.top - 40)); index < moments.length; index += 1) {
    const moment = moments[index];
    const y = screenY(view, moment.top);
    if (y > view.height) break;
    if (moment.gap >= LONG_GAP) drawGap(pen, view, screenY(view, (moment.bottom + moments[index + 1].top) / 2), moment.gap);
    if (y < free) continue;
    pen.textAlign = "right";
    pen.fillStyle = colours.quiet;
    pen.fillText(moment.at.toFixed(6), GUTTER - 14, y);
    pen.fillStyle = colours.edge;
    pen.fillRect(GUTTER - 10, y, 6, 1);
    free = y + 14;
  }
}

function drawGap(pen, view, y, gap) {
  pen.save();
  pen.strokeStyle = colours.edge;
  pen.setLineDash([2, 5]);
  line(pen, GUTTER - 10, y, view.width, y);
  pen.restore();
  pen.textAlign = "right";
  pen.fillStyle = colours.quiet;
  pen.font = `italic 11px ${FONT}`;
  pen.fillText(span(gap), GUTTER - 14, y);
  pen.font = `11px ${FONT}`;
}

/** Draw a lane: a line, dotted while the node is down, thick while it is paused. */
function drawLane({ pen, layout, view }, lane) {
  const x = laneX(view, lane);
  pen.save();
  pen.strokeStyle = colours.lane;
  for (const { from, to, state } of view.lives.get(lane)) {
    const top = Math.max(HEAD, screenY(view, heightAt(layout, from)));
    const bottom = Math.min(view.height, to === Infinity ? view.height : screenY(view, heightAt(layout, to)));
    if (bottom <= top) continue;
    pen.setLineDash(state === "away" ? [1, 6] : []);
    pen.lineWidth = state === "paused" ? 7 : 1.5;
    line(pen, x, top, x, bottom);
  }
  pen.restore();
}

/* --- faults ----------------------------------------------------------------------------------------------------- */

/** Return the horizontal extent of a fault: one node's lane, all between several, or the whole chart. */
function bandExtent(view, band) {
  if (!band.lanes.length) return band.row.nodes.length ? null : [GUTTER - view.left, GUTTER - view.left + view.lanes.length * view.laneWidth];
  const xs = band.lanes.map((lane) => laneX(view, lane)).filter((x) => x !== null);
  if (!xs.length) return null;
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const around = xs.length === 1 ? view.laneWidth * 0.28 : 0;
  return [left - around, right + around];
}

function drawBand({ pen, view, marks }, band) {
  const extent = bandExtent(view, band);
  if (!extent) return;
  const [left, right] = extent;
  const top = Math.max(HEAD, screenY(view, band.y));
  const bottom = Math.min(view.height, screenY(view, band.end));
  if (bottom < HEAD || top > view.height) return;
  const height = Math.max(3, bottom - top);
  pen.fillStyle = colours.fault;
  pen.globalAlpha = band === view.selected ? 0.28 : 0.13;
  pen.fillRect(left, top, right - left, height);
  pen.globalAlpha = 0.7;
  pen.fillRect(left, top, 2, height);
  pen.fillRect(right - 2, top, 2, height);
  if (screenY(view, band.y) >= HEAD) pen.fillRect(left, top, right - left, 1);
  if (screenY(view, band.end) <= view.height) pen.fillRect(left, top + height - 1, right - left, 1);
  pen.globalAlpha = 1;
  marks.push({ item: band, box: [left, top, right - left, height], weak: true });
}

/** Draw the words of faults, one below the other; they stay in sight as long as the fault holds. */
function drawBandWords(room, band) {
  const { pen, view } = room;
  const extent = bandExtent(view, band);
  if (!extent) return;
  const left = Math.max(extent[0], GUTTER);
  let y = Math.max(HEAD + 9, screenY(view, band.y) + 7);
  const words = `fault: ${band.label}`;
  pen.font = `600 11px ${FONT}`;
  const width = pen.measureText(words).width + 8;
  while (isTaken(room, left, y, width)) y += 14;
  if (y > Math.max(screenY(view, band.end) + 8, screenY(view, band.y) + 8) || y > view.height) return;
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  haloed(room, words, left + 6, y, colours.fault);
  take(room, left, y, width);
  room.marks.push({ item: band, box: [left, y - 7, width, 14] });
}

/* --- operations ------------------------------------------------------------------------------------------------- */

/** Return where the bar of an operation is: clients that share a lane, and those of none, are beside each other. */
function barBox(view, item) {
  const x = laneX(view, item.from);
  if (item.from >= 0 && x === null) return null;
  const left = x === null ? GUTTER + 4 + 12 * (item.row.place % 12) - view.left : x - 22 - 7 * (item.row.number % 3);
  const top = screenY(view, item.y);
  const bottom = Math.max(top + 4, screenY(view, item.end));
  return bottom < HEAD || top > view.height ? null : [left, Math.max(HEAD, top), 6, Math.min(view.height, bottom) - Math.max(HEAD, top)];
}

/** Draw an operation from its call to its return: red if it is part of what cannot be explained, hollow if nobody knows
    whether it has happened. */
function drawBar({ pen, view, marks }, item) {
  const box = barBox(view, item);
  if (!box) return;
  pen.globalAlpha = item.error || item === view.selected ? 0.95 : 0.4;
  pen.fillStyle = item === view.selected ? colours.selected : item.error ? colours.error : colours.response;
  pen.strokeStyle = pen.fillStyle;
  pen.lineWidth = 1.5;
  if (item.row.status === "ok") pen.fillRect(...box);
  else pen.strokeRect(box[0] + 0.5, box[1], box[2] - 1, box[3]);
  pen.globalAlpha = 1;
  marks.push({ item, box });
}

function drawBarWords(room, item) {
  const { pen, view } = room;
  const box = barBox(view, item);
  if (!box || screenY(view, item.y) < HEAD) return;
  pen.globalAlpha = strength(view, item);
  pen.font = `${item.error ? "600 " : ""}11px ${FONT}`;
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  const space = Math.max(60, view.laneWidth * 0.9);
  const words = fitted(pen, item.error ? item.label : item.row.words, space);
  const [left, y, width] = [box[0] + 9, box[1] + 7, pen.measureText(words).width];
  if (!item.error && isTaken(room, left, y, width)) return;
  haloed(room, words, left, y, item.error ? colours.error : colours.quiet);
  take(room, left, y, width);
}

/* --- events on one lane ----------------------------------------------------------------------------------------- */

function drawTick({ pen, view, marks }, item, colour) {
  const x = laneX(view, item.from);
  const y = screenY(view, item.y);
  pen.beginPath();
  pen.arc(x, y, item === view.selected ? 4 : 2.4, 0, 2 * Math.PI);
  pen.fillStyle = item.row.response ? colours.ground : colour;
  pen.strokeStyle = colour;
  pen.lineWidth = 1;
  pen.fill();
  pen.stroke();
  marks.push({ item, box: [x - 5, y - 3, 10, 6] });
}

function drawSquare({ pen, view, marks }, item, colour) {
  const x = laneX(view, item.from) - 9;
  const y = screenY(view, item.y);
  pen.fillStyle = colour;
  pen.fillRect(x - 2, y - 1.5, 5, 3);
  marks.push({ item, box: [x - 4, y - 3, 8, 6] });
}

function drawStub({ pen, view, marks }, item, colour) {
  const x = laneX(view, item.from);
  if (x === null) return;
  const towards = laneX(view, item.to);
  const length = (towards === null || towards > x ? 1 : -1) * (item.row.size === null ? 22 : 13);
  const y = screenY(view, item.y);
  pen.strokeStyle = colour;
  pen.lineWidth = item.row.size === null ? 1.6 : 1;
  line(pen, x, y, x + length, y);
  arrowHead(pen, x + length, y, length > 0 ? 0 : Math.PI, colour, 4);
  marks.push({ item, box: [Math.min(x, x + length), y - 2, Math.abs(length), 4], weak: true });
}

function drawCross(room, item, colour) {
  const { pen, view } = room;
  const x = laneX(view, item.from);
  if (x === null) return;
  const y = screenY(view, item.y);
  cross(pen, x, y, colour, 5);
  pen.font = `600 11px ${FONT}`;
  beside(room, item, item.label, x, y, 1, colour);
  room.marks.push({ item, box: [x - 6, y - 6, 12, 12] });
}

function drawLife(room, item, colour) {
  const { pen, view } = room;
  const x = laneX(view, item.from);
  const y = screenY(view, item.y);
  const isEnd = ["crashes", "leaves"].includes(item.label);
  pen.fillStyle = isEnd ? colours.error : colour;
  pen.fillRect(x - 11, y - 1.5, 22, 3);
  pen.font = `600 11px ${FONT}`;
  beside(room, item, item.label, x + 6, y, 1, isEnd ? colours.error : colours.text);
  room.marks.push({ item, box: [x - 11, y - 4, 22, 8] });
}

function drawWords(room, item) {
  const { pen, view } = room;
  const x = laneX(view, item.from);
  const y = screenY(view, item.y);
  pen.fillStyle = colours.quiet;
  pen.fillRect(x + 3, y - 0.5, 4, 1);
  pen.font = `italic 11px ${FONT}`;
  beside(room, item, item.label, x + 2, y, 1, item === view.selected ? colours.selected : colours.quiet);
  room.marks.push({ item, box: [x - 3, y - 3, 10, 6] });
}

function drawRule(room, item) {
  const { pen, view, marks } = room;
  const y = screenY(view, item.y);
  pen.fillStyle = colours.error;
  pen.fillRect(GUTTER - 10, y - 1, view.width, 2);
  pen.font = `600 12px ${FONT}`;
  pen.textAlign = "left";
  haloed(room, fitted(pen, `violation: ${item.label}`, view.width - GUTTER - 20), GUTTER + 2, y + 10, colours.error);
  marks.push({ item, box: [GUTTER, y - 3, view.width, 20] });
}

/** Draw the remarks of the scenario, across all lanes. */
function drawSaying(room, item) {
  const { pen, view, marks } = room;
  const y = screenY(view, item.y);
  pen.font = `600 11px ${FONT}`;
  pen.textAlign = "left";
  const words = fitted(pen, item.label, view.width - GUTTER - 20);
  const width = pen.measureText(words).width;
  haloed(room, words, GUTTER + 2, y, item === view.selected ? colours.selected : colours.text);
  take(room, GUTTER + 2, y, width);
  marks.push({ item, box: [GUTTER + 2, y - 6, width, 12] });
}

/* --- arrows ----------------------------------------------------------------------------------------------------- */

/** Return where an arrow begins and ends on the screen. */
function arrowEnds(view, item) {
  const [from, to] = [laneX(view, item.from), laneX(view, item.to)];
  const y = screenY(view, item.y);
  if (from === null || item.row.sent === null) {
    const side = to ?? from;
    return [side + (from !== null && from > side ? 26 : -26), y, side, screenY(view, item.end)];
  }
  if (to === null) return [from, y, from + 26, y + 5];
  if (item.lost) return [from, y, from + (to - from) * 0.45, y + 12];
  return [from, y, to, screenY(view, item.end)];
}

function drawArrow({ pen, view, marks }, item, colour) {
  const [x1, y1, x2, y2] = arrowEnds(view, item);
  pen.save();
  pen.strokeStyle = colour;
  pen.lineWidth = item === view.selected ? 2.6 : 1.3;
  if (item.row.response) pen.setLineDash([5, 3]);
  line(pen, x1, y1, x2, y2);
  pen.restore();
  if (item.lost) cross(pen, x2, y2, colours.error, 4);
  else arrowHead(pen, x2, y2, Math.atan2(y2 - y1, x2 - x1), colour, 7);
  marks.push({ item, line: [x1, y1, x2, y2] });
}

function drawArrowLabel(room, item) {
  const { pen, view } = room;
  if (!view.place.has(item.from) && !view.place.has(item.to)) return;
  const [x1, y1, x2] = arrowEnds(view, item);
  pen.globalAlpha = strength(view, item);
  pen.font = `11px ${FONT}`;
  const towards = (x2 > x1 ? 1 : -1) * (item.row.sent === null ? -1 : 1);
  beside(room, item, item.label, x1, y1, towards, colourOf(view, item));
}

/** Draw words beside a lane: up to the next lane if there is space, else within this lane's half. */
function beside(room, item, text, x, y, towards, colour) {
  const { pen, view } = room;
  if (y < HEAD - 6) return;
  const edge = towards > 0 ? GUTTER + view.lanes.length * view.laneWidth - view.left - x : x - GUTTER;
  for (const share of [1, 0.5]) {
    const words = fitted(pen, text, Math.max(Math.min(view.laneWidth * share, edge) - 14, 30));
    const width = pen.measureText(words).width;
    const left = towards > 0 ? x + 8 : x - 8 - width;
    if (isTaken(room, left, y, width)) continue;
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    haloed(room, words, left, y, colour);
    take(room, left, y, width);
    room.marks.push({ item, box: [left, y - 6, width, 12] });
    return;
  }
}

/* --- words that do not overlap ---------------------------------------------------------------------------------- */

function isTaken({ taken }, left, y, width) {
  for (let row = Math.floor((y - 11) / 16); row <= Math.floor((y + 11) / 16); row += 1) {
    for (const other of taken.get(row) ?? []) {
      if (Math.abs(other.y - y) < 11 && other.left < left + width && left < other.left + other.width) return true;
    }
  }
  return false;
}

function take({ taken }, left, y, width) {
  const row = Math.floor(y / 16);
  if (!taken.has(row)) taken.set(row, []);
  taken.get(row).push({ left, y, width });
}

function haloed({ pen }, text, x, y, colour) {
  pen.lineWidth = 3;
  pen.lineJoin = "round";
  pen.strokeStyle = colours.ground;
  pen.strokeText(text, x, y);
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
}

function fitted(pen, text, width) {
  const bounded = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  if (pen.measureText(bounded).width <= width) return bounded;
  let [low, high] = [0, bounded.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pen.measureText(`${bounded.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return `${bounded.slice(0, low)}…`;
}

function line(pen, x1, y1, x2, y2) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}

function cross(pen, x, y, colour, size) {
  pen.strokeStyle = colour;
  pen.lineWidth = 2.2;
  line(pen, x - size, y - size, x + size, y + size);
  line(pen, x - size, y + size, x + size, y - size);
}

function arrowHead(pen, x, y, angle, colour, size) {
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x - size * Math.cos(angle - 0.42), y - size * Math.sin(angle - 0.42));
  pen.lineTo(x - size * Math.cos(angle + 0.42), y - size * Math.sin(angle + 0.42));
  pen.fillStyle = colour;
  pen.fill();
}

/** Return the mark under a point, the nearest if there are several. */
function markAt(marks, x, y) {
  let [best, nearest] = [null, 6];
  for (const mark of marks) {
    const distance = (mark.line ? toLine(mark.line, x, y) : toBox(mark.box, x, y)) + (mark.weak ? 3 : 0);
    if (distance < nearest) [best, nearest] = [mark, distance];
  }
  return best && best.item;
}

function toLine([x1, y1, x2, y2], x, y) {
  const square = (x2 - x1) ** 2 + (y2 - y1) ** 2 || 1;
  const share = Math.max(0, Math.min(1, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / square));
  return Math.hypot(x - x1 - share * (x2 - x1), y - y1 - share * (y2 - y1));
}

function toBox([left, top, width, height], x, y) {
  return Math.hypot(Math.max(left - x, 0, x - left - width), Math.max(top - y, 0, y - top - height));
}
