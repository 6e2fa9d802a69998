// The processes that run, with live figures.

import { html, useState } from '../html.js';
import { ask } from './api.js';
import { Confirm, Empty, Figure, Section, Table, say, useAction } from './parts.js';
import { duration, near, percent, rate, shown, size } from './text.js';

const FEW = 100;

export function Part({ node }) {
  const { sample, figures, history } = node;
  const [filter, setFilter] = useState('');
  const [all, setAll] = useState(false);
  const [ending, setEnding] = useState(null);
  const [busy, run] = useAction();
  const our = sample.name;
  const found = figures.rows.filter((row) => row.address.includes(filter));
  const rows = all ? found : found.slice(0, FEW);
  const end = () =>
    run(async () => {
      setEnding(null);
      await ask('kill', { address: near(ending, our) });
      say(`${near(ending, our)} has ended.`);
    });
  const columns = [
    ['Process', (row) => html`<a href="#messages/${near(row.address, our)}" title="Follow its messages"><bdi>${shown(near(row.address, our))}</bdi></a>`, { sort: (row) => row.address }],
    ['State', (row) => shown(row.state)],
    ['Mailbox', (row) => (row.inbox ? `${row.inbox} (${size(row.inbox_bytes)})` : row.inbox ?? '–'), { number: true, sort: (row) => row.inbox }],
    ['Messages/s', (row) => rate(row.rate), { number: true, sort: (row) => row.rate }],
    ['Messages', (row) => row.messages?.toLocaleString('en') ?? '–', { number: true, sort: (row) => row.messages }],
    ['CPU', (row) => percent(row.cpu), { number: true, sort: (row) => row.cpu }],
    ['Memory', (row) => size(row.memory_bytes), { number: true, sort: (row) => row.memory_bytes }],
    ['Runs for', (row) => duration(row.running_seconds), { number: true, sort: (row) => row.running_seconds }],
    ['', (row) => html`<button class="plain" disabled=${busy} onClick=${() => setEnding(row.address)} aria-label="End ${near(row.address, our)}">End</button>`],
  ];
  return html`<${Section} title="Processes">
    <dl class="figures">
      <${Figure} name="Messages/s" value=${rate(figures.rate)} values=${history.map((each) => each.rate)} />
      <${Figure} name="CPU" value=${percent(figures.cpu)} values=${history.map((each) => each.cpu)} />
      <${Figure} name="Memory of processes" value=${size(figures.held)} values=${history.map((each) => each.held)} />
      <${Figure} name="Waiting messages" value="${size(sample.memory.used_bytes)} of ${size(sample.memory.budget_bytes)}" values=${history.map((each) => each.waiting)} />
    </dl>
    ${sample.process_count > FEW && html`<label class="above">Only those whose name holds
      <input type="search" value=${filter} onInput=${(event) => setFilter(event.target.value)} /></label>`}
    ${!figures.rows.length && html`<${Empty}>No process runs. <a href="#packages">Packages</a> is where you start some.<//>`}
    ${figures.rows.length > 0 && html`<${Table} name="Processes" columns=${columns} rows=${rows} keyOf=${(row) => row.address} />`}
    ${found.length > rows.length && html`<div><button onClick=${() => setAll(true)}>Show all ${found.length}</button></div>`}
    ${sample.process_count > figures.rows.length && html`<p class="quiet small">These are the ${figures.rows.length} that have used the most processor time, of ${sample.process_count}.</p>`}
    ${ending && html`<${Confirm} title="End ${near(ending, our)}?" danger label="End it" onYes=${end} onNo=${() => setEnding(null)}
      text="It ends at once and does not start again. Processes that it has started go on." />`}
  <//>`;
}
