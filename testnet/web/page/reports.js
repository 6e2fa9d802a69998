// Journals of runs, of simulations and of real nodes, and their reports.

import { html, useEffect, useState } from '../shared/html.js';
import { lookUp } from './server.js';
import { size } from './words.js';

const RESULTS = { passed: 'good', failed: 'bad' };

export const Reports = () => {
  const [told, setTold] = useState(null);
  const [failure, setFailure] = useState('');
  const load = () => lookUp('journals').then(setTold, (error) => setFailure(error.message));
  useEffect(() => void load(), []);
  if (failure) return html`<p class="note bad" role="alert">${failure}</p>`;
  if (!told) return html`<p class="empty">…</p>`;
  return html`<div class="stack">
    <div class="row"><p class="quiet small">Journals of <code>nectar sim</code> and <code>nectar testnet play</code> in <code>${told.folder}</code>, the newest first.</p>
      <button class="push" onClick=${load}>Look again</button></div>
    ${told.journals.length === 0 && html`<p class="empty">There are none yet.</p>`}
    <ul class="list">${told.journals.map((each) => html`<li class="row" key=${each.name}>
      <span class=${`badge ${RESULTS[each.result] ?? (each.result ? 'bad' : 'warn')}`}>${each.result || 'cut off'}</span>
      <span class="wide"><a href=${each.result === 'passed' ? each.page : `${each.page}#failure`} target="_blank" rel="noopener">${each.name}</a>
        ${each.text && html`<br /><span class="small quiet">${each.text}</span>`}</span>
      <span class="quiet small push">${new Date(each.time * 1000).toLocaleString()}, ${size(each.bytes)}</span>
    </li>`)}</ul>
    ${told.left_out > 0 && html`<p class="quiet">${told.left_out} older ones are not shown.</p>`}
  </div>`;
};
