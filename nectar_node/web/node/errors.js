// Messages that reached nobody, and why; and processes that have crashed, and where.

import { html, useEffect, useState } from '../html.js';
import { ask } from './api.js';
import { Empty, Section, Table, say } from './parts.js';
import { clock, near, shown } from './text.js';

const FEW = 200;

function Crash({ row }) {
  const frames = row.frames.map((frame) => `  at ${frame.function}${frame.file ? ` (${frame.file}${frame.line ? `:${frame.line}` : ''})` : ''}`);
  const known = row.frames.some((frame) => frame.file) || row.said.length === 0;
  const above = row.lineage.map((each) => `for a request from ${each.source} to ${each.target} ${each.beginning}`);
  const again = row.again === null ? 'does not start again' : `starts again after ${row.again} s`;
  const state = row.state ? `${row.state.bytes} bytes saved ${row.state.age === null ? 'before the boot' : `${row.state.age} s before`}` : 'nothing saved';
  const lines = [...row.said, ...(known ? frames : []), ...above, `ran ${row.ran} s, ${row.restarts} restarts before, ${again}; ${state}`];
  return html`<details><summary>where and why</summary><pre class="small">${lines.map((line) => shown(line, 300)).join('\n')}</pre></details>`;
}

export function Part({ node }) {
  const [told, setTold] = useState(null);
  const { sample } = node;
  useEffect(() => {
    ask('errors', { after: Math.max(0, sample.dead_letters - FEW) }).then(setTold, (error) => say(error.message, 'bad'));
  }, [sample.dead_letters, sample.boot_id]);
  if (!told) return html`<${Section} title="Errors"><p class="quiet">Asking the node…</p><//>`;
  const our = sample.name;
  const rows = told.errors.map((row, at) => ({ ...row, number: told.next - told.errors.length + at })).reverse();
  const columns = [
    ['Time', (row) => clock(row.time)],
    ['Why', (row) => html`<span class="bad">${shown(row.reason)}</span>`, { sort: (row) => row.reason }],
    ['From', (row) => html`<bdi>${shown(near(row.source, our))}</bdi>`, { sort: (row) => row.source }],
    ['To', (row) => html`<bdi>${shown(near(row.target, our))}</bdi>`, { sort: (row) => row.target }],
    ['What', (row) => html`<span>${row.kind} <code>${shown(row.beginning, 120)}</code>${row.kind === 'crash' && html`<${Crash} row=${row} />`}</span>`],
  ];
  return html`<${Section} title="Errors">
    <p class="quiet">Messages that reached nobody, and why: their senders are told only that it was Offline or a Timeout. And processes that crashed, with what they were handling.</p>
    ${rows.length === 0 ? html`<${Empty}>Every message has reached somebody since this node was booted, and no process has crashed.<//>` : html`<${Table} name="Errors" columns=${columns} rows=${rows} keyOf=${(row) => row.number} />`}
    ${sample.dead_letters > rows.length && rows.length > 0 && html`<p class="quiet small">These are the latest ${rows.length} of ${sample.dead_letters}.</p>`}
  <//>`;
}
