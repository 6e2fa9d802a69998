// What the picture shows, as tables; and what could not be delivered.

import { html } from '../shared/html.js';
import { count, key, rate, since } from './words.js';

const Chooser = ({ words, chosen, choose }) => html`<button class="plain" aria-pressed=${chosen} onClick=${choose}>${words}</button>`;

export const Nodes = ({ nodes, chosen, choose, leftOut }) => html`<div class="scroll"><table class="cards">
  <caption>Nodes</caption>
  <thead><tr><th>Node</th><th>State</th><th>Since</th><th class="number">Messages/s</th><th class="number">Answered</th>
    <th class="number">Offline</th><th class="number">Timeout</th><th>Faults</th></tr></thead>
  <tbody>${nodes.map((node) => html`<tr key=${node.name}>
    <td><${Chooser} words=${node.name} chosen=${chosen?.node === node.name} choose=${() => choose({ node: node.name })} /></td>
    <td data-label="State">${node.state}</td><td data-label="Since">${since(node)}</td>
    <td class="number" data-label="Messages/s">${node.messages_per_second ?? '–'}</td>
    <td class="number" data-label="Answered">${count(node.counts.answered)}</td>
    <td class="number" data-label="Offline">${count(node.counts.offline)}</td>
    <td class="number" data-label="Timeout">${count(node.counts.timeout)}</td>
    <td data-label="Faults">${node.faults.join(', ') || '–'}</td></tr>`)}</tbody>
</table>${leftOut > 0 && html`<p class="quiet">${leftOut} more are not shown.</p>`}</div>`;

export const Links = ({ links, chosen, choose, leftOut }) => html`<div class="scroll"><table class="cards">
  <caption>Links</caption>
  <thead><tr><th>Between</th><th class="number">→</th><th class="number">←</th><th class="number">Connections</th>
    <th class="number">Resets</th><th>Faults</th></tr></thead>
  <tbody>${links.map((link) => html`<tr key=${key(link.ends)}>
    <td><${Chooser} words=${key(link.ends)} chosen=${chosen?.link && key(chosen.link) === key(link.ends)} choose=${() => choose({ link: link.ends })} /></td>
    <td class="number" data-label="→">${rate(link.bytes_per_second[0])}</td><td class="number" data-label="←">${rate(link.bytes_per_second[1])}</td>
    <td class="number" data-label="Connections">${count(link.connections)}</td><td class="number" data-label="Resets">${count(link.resets)}</td>
    <td data-label="Faults">${link.faults.join(', ') || '–'}</td></tr>`)}</tbody>
</table>${leftOut > 0 && html`<p class="quiet">${leftOut} more are not shown.</p>`}</div>`;

export const Errors = ({ errors }) => errors.length === 0
  ? html`<p class="empty">Everything could be delivered.</p>`
  : html`<div class="scroll"><table class="cards">
    <caption>What could not be delivered</caption>
    <thead><tr><th>Last</th><th>Error</th><th class="number">Times</th><th>From</th><th>To</th></tr></thead>
    <tbody>${errors.map((each) => html`<tr>
      <td>${each.time.slice(11, 19)}</td><td data-label="Error">${each.reason}</td><td class="number" data-label="Times">${count(each.count)}</td>
      <td class="mono" data-label="From">${each.source}</td><td class="mono" data-label="To">${each.target}</td></tr>`)}</tbody>
  </table></div>`;
