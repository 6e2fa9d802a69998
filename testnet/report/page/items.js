"use strict";

/* Items: everything that can be shown, made once from the page's data.

   An item has `kind` (one of KINDS, for filters), `shape` (for drawing), `at` and `until` in seconds, the
   lanes `from` and `to` (indices of nodes; -1: none that is shown here), `label`, `error`, `line` of the journal, `id`
   and `root` of its message, and `row`, the record it was made of. */

const KINDS = [
  ["message", "messages between nodes", "--request"],
  ["local", "local messages", "--local"],
  ["link", "bytes on links", "--link"],
  ["log", "logs", "--quiet"],
  ["disk", "disk", "--disk"],
  ["operation", "operations", "--response"],
  ["fault", "faults", "--fault"],
];

const DATA = JSON.parse(document.getElementById("data").textContent);
const NODES = DATA.nodes;
const LANE = new Map(NODES.map((name, index) => [name, index]));
const PICTURE = makeItems();

function table({ names, rows }) {
  return rows.map((row) => Object.fromEntries(names.map((name, index) => [name, row[index]])));
}

function makeItems() {
  const messages = table(DATA.messages);
  const failures = table(DATA.failures);
  const failed = new Set(failures.map((each) => each.id));
  const items = [
    ...messages.map((row) => messageItem(row, failed)),
    ...failures.map(failureItem),
    ...table(DATA.segments).map(segmentItem),
    ...table(DATA.remarks).map(remarkItem),
    ...table(DATA.violations).map(violationItem),
    ...table(DATA.bands).map(bandItem),
    ...table(DATA.operations).map(operationItem),
  ];
  items.sort((a, b) => a.at - b.at || a.line - b.line);
  const ends = Math.max(DATA.about.seconds, ...items.slice(-1).map((item) => item.at));
  return { items, ends, lineages: groupBy(items.filter((item) => item.root !== null), (item) => item.root) };
}

function groupBy(items, key) {
  const groups = new Map();
  for (const item of items) {
    const name = key(item);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(item);
  }
  return groups;
}

function item(row, kind, shape, more) {
  return {
    row, kind, shape, at: row.at, until: row.at, from: lane(row.node), to: -1, label: "", error: false,
    line: row.line, id: null, root: null, ...more,
  };
}

function messageItem(row, failed) {
  const [from, to] = [lane(row.sender), lane(row.receiver)];
  const isLocal = nodeOf(row.source) === nodeOf(row.target);
  const at = row.sent ?? row.arrived ?? 0;
  const lost = !isLocal && row.arrived === null;
  return item(row, isLocal ? "local" : "message", isLocal ? "tick" : "arrow", {
    at, until: row.arrived ?? at, from, to, lost, line: row.lines[0], id: row.id, root: row.root,
    label: row.sent === null ? `${messageLabel(row)} from ${row.sender}` : messageLabel(row), error: lost || failed.has(row.id),
  });
}

function failureItem(row) {
  const label = row.reason ? `${row.what}: ${row.reason}` : row.what;
  const isLocal = nodeOf(row.source) === nodeOf(row.target);
  return item(row, isLocal ? "local" : "message", "cross", { label, error: true, id: row.id, root: row.root });
}

function segmentItem(row) {
  const label = row.size === null ? `dials ${row.target}` : `${bytes(row.size)} to ${row.target}`;
  return item(row, "link", "stub", { to: lane(row.target), label });
}

function remarkItem(row) {
  if (row.kind === "life") return item(row, "life", "life", { label: row.text });
  if (row.kind === "note") return item(row, "note", "saying", { label: row.text });
  const kind = row.kind === "disk" ? "disk" : "log";
  return item(row, kind, kind === "disk" ? "square" : "words", { label: row.text });
}

function violationItem(row) {
  return item(row, "violation", "rule", { label: row.text, error: true, from: -1 });
}

/** An operation is a bar beside the lane of its client, or, of a client that is no node, at the left edge. */
function operationItem(row) {
  const until = row.returned ?? DATA.about.seconds;
  const label = `${row.client}: ${row.words}`;
  return item(row, "operation", "bar", { at: row.called, until, from: lane(row.client), label, error: row.wrong });
}

function bandItem(row) {
  const lanes = row.nodes.map(lane).filter((index) => index >= 0);
  return item(row, "fault", "band", { at: row.begins, until: row.ends ?? DATA.about.seconds, from: -1, lanes, label: row.words });
}

/* --- words ------------------------------------------------------------------------------------------------------ */

function lane(node) {
  return LANE.get(node) ?? -1;
}

function nodeOf(address) {
  return address.split("@", 1)[0];
}

function processOf(address) {
  return address.slice(address.indexOf("@") + 1);
}

/** Spawned processes have numbers for names: they count as one kind. */
function processGroup(address) {
  const process = processOf(address);
  return /^\d{6,}:/.test(process) ? `spawned:${process.slice(process.indexOf(":") + 1)}` : process;
}

function shortProcess(address) {
  const [name, ...rest] = processOf(address).split(":");
  return /^\d{6,}$/.test(name) ? `${rest[0] ?? ""}#${name.slice(-4)}` : name;
}

function messageLabel(row) {
  const whose = shortProcess(row.response ? row.source : row.target);
  const blob = row.blob === null ? "" : ` +${bytes(row.blob)}`;
  return `${whose}: ${verb(row.beginning)}${blob}`;
}

/** Return the word for a body: the name of its variant, as in most protocols here. */
function verb(beginning) {
  const action = /"action":\s*\{?"([A-Za-z]+)("?)/.exec(beginning);
  const named = /^\s*\{?\s*"([^"]{1,40})"/.exec(beginning);
  if (action) return action[2] ? action[1] : `${action[1]}…`;
  return named ? named[1] : beginning.slice(0, 24) || "(empty)";
}

function bytes(count) {
  if (count < 1024) return `${count} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let value = count / 1024;
  while (value >= 1024 && units.length > 1) {
    value /= 1024;
    units.shift();
  }
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[0]}`;
}

function span(seconds) {
  if (seconds < 0.0009995) return `${(seconds * 1e6).toPrecision(3)} µs`;
  if (seconds < 0.9995) return `${(seconds * 1e3).toPrecision(3)} ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

function seconds(at) {
  return `${at.toFixed(9)} s`;
}

/** Return the text that a search looks at. */
function searched(item) {
  if (item.words === undefined) {
    const { row } = item;
    const parts = [item.label, row.source, row.target, row.beginning, row.reason, row.node, row.id, row.hash, row.text];
    item.words = parts.filter((part) => typeof part === "string").join("\n").toLowerCase();
  }
  return item.words;
}
