"use strict";

/* The page: puts items, filters, layout, drawing, overview and details together, and handles input. */

const byId = (id) => document.getElementById(id);

class Page {
  constructor() {
    this.chart = byId("chart");
    this.canvas = this.chart.querySelector("canvas");
    this.range = { from: 0, to: PICTURE.ends };
    this.scale = { linear: false, zoom: 1 };
    this.selected = null;
    this.marks = [];
    this.pending = false;
    this.lives = livesOf();
    this.filters = new Filters(byId("filters"), () => this.change());
    this.overview = new Overview(byId("overview").querySelector("canvas"), (range) => this.setRange(range), (at) => this.goTo(at));
    this.listen();
    readColours();
    this.change();
    this.drawNow(); // so that the page is drawn as soon as it is loaded
    showDetails(byId("details"), null, this.act());
  }

  /* --- what is shown -------------------------------------------------------------------------------------------- */

  /** Lay out again after a change of filters, range or scale, and keep the position. */
  change() {
    const anchor = this.layout ? this.anchor() : null;
    const everything = { from: 0, to: PICTURE.ends };
    this.all = PICTURE.items.filter(this.filters.test(everything));
    const items = PICTURE.items.filter(this.filters.test(this.range));
    this.scale.room = this.chart.clientHeight - HEAD - 30;
    this.layout = layOut(items, this.range, this.scale);
    this.lanes = [...NODES.keys()].filter((lane) => this.filters.nodes.has(lane));
    this.place = new Map(this.lanes.map((lane, index) => [lane, index]));
    byId("count").textContent = `${items.length} of ${PICTURE.items.length} shown`;
    this.showRange();
    this.resize();
    if (anchor) this.chart.scrollTop = anchor.isItem ? this.selected.y - anchor.y : heightAt(this.layout, anchor.at) - anchor.y;
    this.draw();
  }

  /** Return what keeps its position: the selected event if it is in sight, or the time in the middle. */
  anchor() {
    const top = this.chart.scrollTop;
    const y = this.selected ? this.selected.y - top : -1;
    if (this.selected && y >= 0 && y < this.chart.clientHeight) return { isItem: true, y };
    if (top === 0) return null;
    const middle = this.chart.clientHeight / 2;
    return { isItem: false, at: timeAt(this.layout, top + middle), y: middle };
  }

  resize() {
    const { clientWidth, clientHeight } = this.chart;
    this.laneWidth = Math.max(104, (clientWidth - GUTTER) / Math.max(1, this.lanes.length));
    const extent = byId("extent");
    extent.style.width = `${Math.max(1, GUTTER + this.laneWidth * this.lanes.length)}px`;
    extent.style.height = `${Math.max(clientHeight, this.layout.height + HEAD + this.covered())}px`;
    this.canvas.style.width = `${clientWidth}px`;
    this.canvas.style.height = `${clientHeight}px`;
  }

  /** Draw once for each frame, however much has changed. */
  draw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.drawNow();
    });
  }

  drawNow() {
    const { clientWidth: width, clientHeight: height, scrollTop: top, scrollLeft: left } = this.chart;
    const pen = fitCanvas(this.canvas, width, height);
    this.marks = drawView(pen, this.layout, this.view({ top, left, width, height }));
    const sight = { from: timeAt(this.layout, top), to: timeAt(this.layout, top + height - HEAD) };
    this.overview.draw({ all: this.all, range: this.range, sight });
  }

  view(where) {
    const root = this.selected?.root ?? null;
    const all = this.selected?.shape === "rule" && STORY.items.size ? STORY.items : null;
    return {
      ...where, lanes: this.lanes, place: this.place, laneWidth: this.laneWidth, lives: this.lives,
      selected: this.selected, lineage: root === null ? all : new Set(PICTURE.lineages.get(root)),
    };
  }

  /* --- choices -------------------------------------------------------------------------------------------------- */

  act() {
    return {
      select: (item) => this.select(item),
      isOnly: this.filters.root !== null,
      only: (isOnly) => {
        this.filters.root = isOnly ? this.selected.root : null;
        this.change();
      },
    };
  }

  /** Select an item; `quietly`, without its details where these would cover the picture. */
  select(item, quietly = false) {
    this.selected = item;
    if (this.filters.root !== null && item?.root !== this.filters.root) {
      this.filters.root = null;
      this.change();
    }
    const isOver = getComputedStyle(byId("details")).position === "absolute";
    showDetails(byId("details"), quietly && isOver ? null : item, this.act());
    byId("said").textContent = item ? `${seconds(item.at)}, ${titleOf(item)}` : "Nothing selected";
    this.measure();
    if (item) this.bringIntoSight(item);
    this.draw();
  }

  bringIntoSight(item) {
    if (item.y === undefined || !this.layout.inOrder.includes(item)) return;
    const height = this.chart.clientHeight - HEAD - this.covered();
    const y = item.y - this.chart.scrollTop;
    if (y < 20 || y > height - 30) this.chart.scrollTop = item.y - height / 2;
  }

  /** Return how much of the chart the details cover, where there is no space beside it. */
  covered() {
    const panel = byId("details");
    const isOver = getComputedStyle(panel).position === "absolute" && panel.className !== "idle";
    return isOver ? panel.offsetHeight : 0;
  }

  setRange({ from, to }) {
    const [least, most] = [Math.max(0, Math.min(from, to)), Math.min(PICTURE.ends, Math.max(from, to))];
    this.range = { from: least, to: Math.max(most, least) };
    this.chart.scrollTop = 0;
    this.change();
    if (this.selected) this.bringIntoSight(this.selected);
  }

  showRange() {
    byId("from").value = Number(this.range.from.toFixed(6));
    byId("to").value = Number(this.range.to.toFixed(6));
    byId("whole").disabled = this.range.from === 0 && this.range.to === PICTURE.ends;
  }

  goTo(at) {
    this.chart.scrollTop = heightAt(this.layout, at) - this.chart.clientHeight / 3;
    this.draw();
  }

  zoom(factor) {
    const most = this.scale.linear ? MAX_HEIGHT / Math.max(1, this.scale.room) : 6;
    this.scale.zoom = Math.max(this.scale.linear ? 1 : 0.25, Math.min(most, this.scale.zoom * factor));
    this.change();
  }

  /* --- people --------------------------------------------------------------------------------------------------- */

  listen() {
    this.chart.addEventListener("scroll", () => this.draw(), { passive: true });
    this.canvas.addEventListener("pointermove", (event) => this.hint(event));
    this.canvas.addEventListener("pointerleave", () => { byId("hint").hidden = true; });
    this.canvas.addEventListener("click", (event) => {
      byId("hint").hidden = true;
      this.select(markAt(this.marks, event.offsetX, event.offsetY));
    });
    this.chart.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("keydown", (event) => this.keyAnywhere(event));
    new ResizeObserver(() => requestAnimationFrame(() => this.measure())).observe(this.chart);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
    byId("linear").addEventListener("change", (event) => {
      this.scale = { ...this.scale, linear: event.target.checked, zoom: event.target.checked ? 8 : 1 };
      this.change();
    });
    byId("larger").addEventListener("click", () => this.zoom(1.5));
    byId("smaller").addEventListener("click", () => this.zoom(1 / 1.5));
    byId("whole").addEventListener("click", () => this.setRange({ from: 0, to: PICTURE.ends }));
    for (const id of ["from", "to"]) byId(id).addEventListener("change", () => this.typedRange());
    window.addEventListener("beforeprint", () => this.print());
    window.addEventListener("afterprint", () => this.printed());
  }

  typedRange() {
    const [from, to] = [byId("from").valueAsNumber, byId("to").valueAsNumber];
    this.setRange({ from: Number.isNaN(from) ? 0 : from, to: Number.isNaN(to) ? PICTURE.ends : to });
  }

  measure() {
    this.resize();
    this.draw();
  }

  recolour() {
    readColours();
    if (!this.selected) showDetails(byId("details"), null, this.act());
    this.draw();
  }

  hint(event) {
    const item = markAt(this.marks, event.offsetX, event.offsetY);
    const hint = byId("hint");
    hint.hidden = !item;
    this.canvas.style.cursor = item ? "pointer" : "default";
    if (!item) return;
    hint.textContent = hintOf(item);
    const left = Math.min(event.clientX + 14, window.innerWidth - hint.offsetWidth - 8);
    const below = event.clientY + 18;
    hint.style.left = `${Math.max(4, left)}px`;
    hint.style.top = `${below + hint.offsetHeight < window.innerHeight ? below : event.clientY - hint.offsetHeight - 10}px`;
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const steps = { ArrowDown: [1, false], ArrowUp: [-1, false], ArrowRight: [1, true], ArrowLeft: [-1, true] };
    const step = steps[event.key];
    if (step) {
      event.preventDefault();
      this.walk(...step);
    }
  }

  keyAnywhere(event) {
    if (event.key === "Escape") this.select(null);
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, select")) return;
    if (event.key === "+" || event.key === "-") this.zoom(event.key === "+" ? 1.5 : 1 / 1.5);
    if (event.key === "/") {
      event.preventDefault();
      byId("text").focus();
    }
  }

  /** Select the next or the previous event, of all that is shown or of the lineage. */
  walk(step, isInLineage) {
    const shown = this.layout.inOrder;
    if (isInLineage && (this.selected?.root ?? null) === null) return;
    const items = isInLineage ? shown.filter((each) => each.root === this.selected.root) : shown;
    const index = this.selected ? items.indexOf(this.selected) : -1;
    const next = index >= 0 ? items[index + step] : items.find((each) => each.y >= this.chart.scrollTop);
    if (next) this.select(next);
  }

  /** Prepare for printing: all that is shown, page by page, in light colours. */
  print() {
    const [width, height, most] = [1000, 1300, 80];
    const pages = Math.min(most, Math.ceil(this.layout.height / (height - HEAD)));
    const laneWidth = (width - GUTTER) / Math.max(1, this.lanes.length);
    document.documentElement.dataset.paper = "";
    readColours();
    byId("print").replaceChildren(...Array.from({ length: pages }, (_, page) => {
      const canvas = element("canvas");
      const top = page * (height - HEAD);
      const rest = Math.min(height, this.layout.height - top + HEAD);
      drawView(fitCanvas(canvas, width, rest), this.layout, { ...this.view({ top, left: 0, width, height: rest }), laneWidth });
      return canvas;
    }));
  }

  printed() {
    byId("print").replaceChildren();
    delete document.documentElement.dataset.paper;
    this.recolour();
  }
}

function hintOf(item) {
  const { row } = item;
  const when = item.until > item.at ? `${item.at.toFixed(6)} s, for ${span(item.until - item.at)}` : `${item.at.toFixed(6)} s`;
  const who = row.source ? `${row.source} → ${row.target}` : row.node && row.node !== "-" ? row.node : "";
  return [titleOf(item), who, when, row.beginning ?? row.text ?? item.label].filter(Boolean).map((each) => each.slice(0, 300)).join("\n");
}

/** Return the states of each lane's node, with their times. */
function livesOf() {
  const states = { crashes: "away", leaves: "away", pauses: "paused", boots: "up", resumes: "up", restarts: "up" };
  const lives = new Map([...NODES.keys()].map((lane) => [lane, [{ from: 0, to: Infinity, state: "up" }]]));
  for (const item of PICTURE.items) {
    if (item.shape !== "life" || item.from < 0) continue;
    const spans = lives.get(item.from);
    const last = spans[spans.length - 1];
    const state = states[item.label.split(" ", 1)[0]];
    if (spans.length === 1 && item.label === "boots") last.state = "away";
    last.to = item.at;
    spans.push({ from: item.at, to: Infinity, state });
  }
  return lives;
}

function showAbout({ about }) {
  document.title = about.title;
  byId("scenario").textContent = about.title;
  byId("result").textContent = about.result;
  byId("result").classList.toggle("passed", about.result === "passed");
  const left = about.leftOut ? `; the first ${about.leftOut} events are left out here` : "";
  byId("facts").textContent = `${NODES.length} nodes, ${span(about.seconds)} of ${about.clock} time, ${about.events} events${left}`;
  byId("replay").querySelector("code").textContent = about.replay;
  byId("replay").querySelector("button").addEventListener("click", () => copyReplay(about.replay));
  const list = byId("about").querySelector("dl");
  const rows = [
    ["outcome", about.text],
    ["nodes", NODES.join(", ")],
    ...about.options.filter(([, value]) => value !== "null"),
    ...(about.schedule.length ? about.schedule : ["none"]).map((words, index) => [index ? "" : "faults", words]),
    ["digest", about.digest],
  ];
  list.append(...facts(rows).childNodes);
}

function copyReplay(command) {
  const code = byId("replay").querySelector("code");
  getSelection().selectAllChildren(code);
  navigator.clipboard?.writeText(command).catch(() => undefined);
}

function showViolations(page) {
  const found = PICTURE.items.filter((item) => item.shape === "rule");
  const entries = found.slice(DATA.story ? 1 : 0).map((item) => {
    const button = element("button", { type: "button", textContent: `Failed at ${item.at.toFixed(6)} s: ${item.label}` });
    button.addEventListener("click", () => page.select(item));
    return element("li", {}, button);
  });
  byId("violations").replaceChildren(...entries);
  showFailure(page);
  // A failed run is shown where it failed: at the first operation that cannot be explained, at what was broken first, or
  // at its end.
  if (!DATA.story) return;
  if (found.length) page.select(found[0], true); // its text stands above
  const first = DATA.story.opens === null ? null : itemOfLine(DATA.story.opens);
  if (first) page.goTo(first.at);
  else if (!found.length) page.goTo(PICTURE.ends);
}

showAbout(DATA);
showViolations(new Page());
