// The nodes that this one has a session with, and how they are reached.

import { html } from '../html.js';
import { Empty, Section, Table } from './parts.js';
import { clock, duration, shown, size } from './text.js';

const GOOD = new Set(['up']);

export function Part({ node }) {
  const { sample } = node;
  const columns = [
    ['Node', (row) => html`<bdi>${shown(row.name, 100)}</bdi>`, { sort: (row) => row.name }],
    ['Session', (row) => html`<span class="badge ${GOOD.has(row.state) ? 'good' : 'warn'}">${shown(row.state)}</span>`],
    ['Reached', (row) => (row.router ? `through ${shown(row.router, 100)}` : row.host ? `at ${shown(row.host, 100)}` : '–')],
    ['Round trip', (row) => duration(row.round_trip_seconds), { number: true, sort: (row) => row.round_trip_seconds }],
    ['Sent', (row) => size(row.bytes_sent), { number: true, sort: (row) => row.bytes_sent }],
    ['Received', (row) => size(row.bytes_received), { number: true, sort: (row) => row.bytes_received }],
    ['Waiting', (row) => (row.queued_messages ? `${row.queued_messages} (${size(row.queued_bytes)})` : '0'), { number: true, sort: (row) => row.queued_messages }],
    ['Last failure', (row) => (row.last_error ? `${clock(row.last_error_time)}: ${shown(row.last_error)}` : 'none')],
  ];
  return html`<${Section} title="Peers">
    <p class="quiet">${shown(sample.name, 100)} listens at <code>${sample.endpoint.join(':')}</code>${sample.routers.length > 0 && html`, and is reached through ${sample.routers.map((each) => `${each.name} (${each.place})`).join(', ')}`}.</p>
    ${sample.peers.length === 0
      ? html`<${Empty}>This node has no session with another one. A session begins with the first message, such as <code>nectar send</code> of a file.<//>`
      : html`<${Table} name="Peers" columns=${columns} rows=${sample.peers} keyOf=${(row) => row.name} />`}
    ${sample.peer_count > sample.peers.length && html`<p class="quiet small">These are ${sample.peers.length} of ${sample.peer_count}.</p>`}
  <//>`;
}
