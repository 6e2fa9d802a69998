// What several parts of the page are made of.

import { html, useEffect, useRef, useState } from '../html.js';

let tell = () => {};

// What has come of what somebody did, for all to see and for screen readers to say.
export function say(text, kind = 'good') {
  tell(text ? { text, kind } : null);
}

export function Told() {
  const [told, set] = useState(null);
  tell = set;
  useEffect(() => {
    if (told?.kind !== 'good') return undefined;
    const timer = setTimeout(() => set(null), 8000);
    return () => clearTimeout(timer);
  }, [told]);
  return html`<div role="status" aria-live="polite">
    ${told &&
    html`<div class="note ${told.kind} row"><span>${told.text}</span>
      <button class="plain push" onClick=${() => set(null)}>Dismiss</button></div>`}
  </div>`;
}

// Carry out something that takes a while and may fail; returns [busy, run].
export function useAction() {
  const [busy, set] = useState(false);
  const run = async (what) => {
    set(true);
    try {
      return await what();
    } catch (error) {
      say(error.message, 'bad');
      return undefined;
    } finally {
      set(false);
    }
  };
  return [busy, run];
}

export const Empty = ({ children }) => html`<p class="empty">${children}</p>`;

export function Section({ title, children, aside }) {
  const heading = useRef(null);
  useEffect(() => {
    document.title = `${title} – ${document.title.split(' – ').pop()}`;
    if (Section.moved) heading.current.focus();
    Section.moved = true;
  }, []);
  return html`<section aria-labelledby="title">
    <div class="row"><h2 id="title" tabindex="-1" ref=${heading}>${title}</h2>${aside && html`<div class="push row">${aside}</div>`}</div>
    ${children}
  </section>`;
}

// A table whose rows are cards on a phone. Columns: [heading, cell(row), {number, sort(row)}].
export function Table({ columns, rows, name, keyOf }) {
  const [order, setOrder] = useState(null);
  let sorted = rows;
  if (order) {
    const value = columns[order.column][2].sort;
    const sign = order.down ? -1 : 1;
    const rank = (row) => value(row) ?? -Infinity;
    sorted = [...rows].sort((a, b) => sign * (rank(a) > rank(b) ? 1 : rank(a) < rank(b) ? -1 : 0));
  }
  const by = (column) =>
    setOrder(order?.column === column ? { column, down: !order.down } : { column, down: Boolean(columns[column][2].number) });
  return html`<table class="cards" role="table" aria-label=${name}>
    <thead role="rowgroup"><tr role="row">
      ${columns.map(([heading, , kind = {}], column) => {
        const ordered = order?.column === column ? (order.down ? 'descending' : 'ascending') : undefined;
        const arrow = ordered ? (order.down ? ' ↓' : ' ↑') : '';
        return html`<th role="columnheader" scope="col" class=${kind.number ? 'number' : ''} aria-sort=${ordered}>
          ${kind.sort ? html`<button class="sort" onClick=${() => by(column)}>${heading}<span aria-hidden="true">${arrow}</span></button>` : heading}
        </th>`;
      })}
    </tr></thead>
    <tbody role="rowgroup">
      ${sorted.map((row) => html`<tr role="row" key=${keyOf(row)}>
        ${columns.map(([heading, cell, kind = {}]) => html`<td role="cell" data-label=${heading} class=${kind.number ? 'number' : ''}>${cell(row)}</td>`)}
      </tr>`)}
    </tbody>
  </table>`;
}

// A dialog that keeps the keyboard inside, and ends with Escape.
export function Dialog({ title, onClose, children }) {
  const box = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    box.current.showModal();
    return () => before?.focus?.();
  }, []);
  return html`<dialog ref=${box} aria-labelledby="dialog-title" onClose=${onClose}>
    <h2 id="dialog-title">${title}</h2>
    ${children}
  </dialog>`;
}

export function Confirm({ title, text, label, danger, onYes, onNo }) {
  return html`<${Dialog} title=${title} onClose=${onNo}>
    <p>${text}</p>
    <div class="row">
      <button onClick=${onNo}>Leave it</button>
      <button class=${danger ? 'danger' : 'first'} onClick=${onYes}>${label}</button>
    </div>
  <//>`;
}

// How a figure has gone lately; what it is now stands beside it as text.
export function Spark({ values }) {
  const most = Math.max(...values, 1e-9);
  const points = values.map((value, at) => `${at},${(34 - (32 * value) / most).toFixed(1)}`).join(' ');
  return html`<svg class="spark" viewBox="0 0 ${Math.max(values.length - 1, 1)} 36" preserveAspectRatio="none" aria-hidden="true">
    ${values.length > 1 && html`<polyline points=${points} />`}
  </svg>`;
}

export function Figure({ name, value, values }) {
  return html`<div><dt>${name}</dt><dd>${value}${values && html`<${Spark} values=${values} />`}</dd></div>`;
}

// A place that takes files that are dropped on it, or chosen. Gives each as {file, path}.
export function Drop({ label, accept, folders = false, onFiles, children, busy }) {
  const [over, setOver] = useState(0);
  const file = useRef(null);
  const folder = useRef(null);
  const dropped = async (event) => {
    event.preventDefault();
    setOver(0);
    const found = [];
    const entries = [...event.dataTransfer.items].filter((each) => each.kind === 'file').map((each) => [each.getAsFile(), each.webkitGetAsEntry?.()]);
    for (const [plain, entry] of entries) {
      if (entry?.isDirectory) found.push(...(await files(entry)));
      else if (plain) found.push({ file: plain, path: plain.name });
    }
    if (found.length && !busy) onFiles(found);
  };
  const chosen = (input) => {
    const found = [...input.files].map((each) => ({ file: each, path: each.webkitRelativePath || each.name }));
    input.value = '';
    if (found.length) onFiles(found);
  };
  return html`<div class="drop ${over > 0 ? 'over' : ''}" onDragEnter=${() => setOver(over + 1)} onDragLeave=${() => setOver(over - 1)}
      onDragOver=${(event) => event.preventDefault()} onDrop=${dropped}>
    ${children}
    <div class="row">
      <button disabled=${busy} onClick=${() => file.current.click()}>${label}</button>
      ${folders && html`<button disabled=${busy} onClick=${() => folder.current.click()}>Choose a folder…</button>`}
    </div>
    <input type="file" hidden tabindex="-1" aria-label=${label} ref=${file} accept=${accept} onChange=${(event) => chosen(event.target)} />
    ${folders && html`<input type="file" hidden tabindex="-1" aria-label="Choose a folder" webkitdirectory ref=${folder} onChange=${(event) => chosen(event.target)} />`}
  </div>`;
}

async function files(entry, found = []) {
  if (found.length > 10000) return found;
  if (entry.isFile) {
    found.push({ file: await new Promise((got, failed) => entry.file(got, failed)), path: entry.fullPath.slice(1) });
    return found;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((got, failed) => reader.readEntries(got, failed));
    if (!some.length) return found;
    for (const each of some) await files(each, found);
  }
}
