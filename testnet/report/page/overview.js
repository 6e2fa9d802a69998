"use strict";

/* The overview: the whole run on one line, on which a time range is chosen. */

class Overview {
  constructor(canvas, onRange, onGo) {
    this.canvas = canvas;
    this.onRange = onRange;
    this.onGo = onGo;
    this.dragged = null;
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.end(event));
    canvas.addEventListener("pointercancel", () => { this.dragged = null; });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  timeOf(event) {
    const box = this.canvas.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * PICTURE.ends;
  }

  begin(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.dragged = { x: event.clientX, from: this.timeOf(event), to: this.timeOf(event) };
  }

  move(event) {
    if (!this.dragged) return;
    this.dragged.to = this.timeOf(event);
    this.draw(this.last);
  }

  end(event) {
    if (!this.dragged) return;
    const { x, from, to } = this.dragged;
    this.dragged = null;
    if (Math.abs(event.clientX - x) < 4) this.onGo(from);
    else this.onRange({ from: Math.min(from, to), to: Math.max(from, to) });
  }

  /** Move the range left and right, or make it wider and narrower. */
  key(event) {
    const { from, to } = this.last.range;
    const step = (to - from) / 4;
    const moves = { ArrowLeft: [-step, -step], ArrowRight: [step, step], "+": [step, -step], "-": [-step * 2, step * 2] };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    const next = { from: Math.max(0, from + move[0]), to: Math.min(PICTURE.ends, to + move[1]) };
    if (next.to > next.from) this.onRange(next);
  }

  /** Draw `shown`, the items that pass the filters, with the range and the times in sight. */
  draw(shown) {
    this.last = shown;
    const { width, height } = this.canvas.getBoundingClientRect();
    const pen = fitCanvas(this.canvas, width, height);
    const scale = width / (PICTURE.ends || 1);
    pen.clearRect(0, 0, width, height);
    drawBandsOver(pen, shown.all, scale, height);
    drawCounts(pen, shown.all, scale, width, height);
    const range = this.dragged ?? shown.range;
    shade(pen, Math.min(range.from, range.to) * scale, Math.max(range.from, range.to) * scale, width, height);
    pen.strokeStyle = colours.text;
    pen.lineWidth = 1.5;
    pen.strokeRect(shown.sight.from * scale, 1, Math.max(3, (shown.sight.to - shown.sight.from) * scale), height - 2);
  }
}

function fitCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return pen;
}

function drawBandsOver(pen, items, scale, height) {
  pen.fillStyle = colours.fault;
  for (const item of items) {
    if (item.shape !== "band") continue;
    pen.globalAlpha = 0.3;
    pen.fillRect(item.at * scale, 0, Math.max(1, (item.until - item.at) * scale), height);
  }
  pen.globalAlpha = 1;
}

/** Draw the number of events at each pixel's time, on a logarithmic scale; failures are red, above it. */
function drawCounts(pen, items, scale, width, height) {
  const counts = new Float64Array(Math.ceil(width) + 1);
  const errors = new Float64Array(Math.ceil(width) + 1);
  for (const item of items) {
    if (item.shape === "band") continue;
    counts[Math.floor(item.at * scale)] += 1;
    if (item.shape === "cross" || item.shape === "rule") errors[Math.floor(item.at * scale)] += 1;
  }
  const most = Math.log1p(Math.max(1, ...counts));
  for (let x = 0; x < counts.length; x += 1) {
    if (counts[x]) {
      const size = (Math.log1p(counts[x]) / most) * (height - 14);
      pen.fillStyle = colours.request;
      pen.fillRect(x, height - 2 - size, 1, size);
    }
    if (errors[x]) {
      pen.fillStyle = colours.error;
      pen.fillRect(x - 0.5, 2, 2, 8);
    }
  }
}

function shade(pen, left, right, width, height) {
  pen.fillStyle = colours.ground;
  pen.globalAlpha = 0.72;
  pen.fillRect(0, 0, left, height);
  pen.fillRect(right, 0, width - right, height);
  pen.globalAlpha = 1;
}
