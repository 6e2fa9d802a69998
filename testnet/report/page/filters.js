"use strict";

/* Filters: the choice of items that are shown. */

class Filters {
  constructor(form, onChange) {
    this.form = form;
    this.onChange = onChange;
    this.nodes = new Set(NODES.keys());
    this.kinds = new Set(["message", "local", "log", "operation", "fault"]);
    this.root = null;
    NODES.forEach((name, index) => this.chip("nodes", name, null, this.nodes, index));
    KINDS.forEach(([kind, words, colour]) => this.chip("kinds", words, colour, this.kinds, kind));
    this.fillProcesses();
    const changed = () => this.onChange();
    for (const id of ["errors", "process"]) form.querySelector(`#${id}`).addEventListener("change", changed);
    form.querySelector("#text").addEventListener("input", debounced(changed, 150));
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  chip(group, words, colour, chosen, value) {
    const box = element("input", { type: "checkbox", checked: chosen.has(value) });
    box.addEventListener("change", () => {
      if (box.checked) chosen.add(value);
      else chosen.delete(value);
      this.onChange();
    });
    const label = element("label", { className: "chip", title: words }, box);
    if (colour) {
      const sign = element("i");
      sign.style.background = `var(${colour})`;
      label.append(sign);
    }
    label.append(words);
    this.form.querySelector(`#${group}`).append(label);
  }

  fillProcesses() {
    const names = new Set();
    for (const { row } of PICTURE.items) {
      if (row.source) names.add(processGroup(row.source)).add(processGroup(row.target));
    }
    const select = this.form.querySelector("#process");
    select.append(new Option("all processes", ""));
    for (const name of [...names].sort()) select.append(new Option(name, name));
  }

  /** Return a test for the items to show, with the present choices. */
  test(range) {
    const process = this.form.querySelector("#process").value;
    const text = this.form.querySelector("#text").value.trim().toLowerCase();
    const onlyErrors = this.form.querySelector("#errors").checked;
    return (item) =>
      item.at <= range.to && item.until >= range.from && this.isKind(item) && this.isNode(item) &&
      (!onlyErrors || isContext(item) || item.error) &&
      (!process || isContext(item) || isOfProcess(item, process)) &&
      (!text || isContext(item) || searched(item).includes(text)) &&
      (this.root === null || isContext(item) || item.root === this.root);
  }

  isKind({ kind }) {
    return ["life", "violation", "note"].includes(kind) || this.kinds.has(kind);
  }

  isNode(item) {
    if (item.shape === "band") return !item.lanes.length || item.lanes.some((lane) => this.nodes.has(lane));
    return [item.from, item.to].every((lane) => lane < 0 || this.nodes.has(lane));
  }
}

/** Return whether an item is always shown, because everything else is read against it. */
function isContext({ kind }) {
  return ["life", "fault", "violation", "note"].includes(kind);
}

function isOfProcess({ kind, row }, process) {
  if (row.source) return processGroup(row.source) === process || processGroup(row.target) === process;
  return kind === "log" && row.text.startsWith(`${process}:`);
}

function debounced(act, milliseconds) {
  let timer = null;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(act, milliseconds);
  };
}
