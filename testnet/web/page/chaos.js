// Chaos: started here, its progress, its promises, and its results.

import { html, useState } from '../shared/html.js';
import { order } from './server.js';
import { duration, plural } from './words.js';

const STATES = { held: ['good', '✓', 'held'], broken: ['bad', '✕', 'broken'], open: ['', '○', 'not broken so far'], unwatched: ['warn', '–', 'not watched'] };

const Promises = ({ rows }) => html`<ul class="list promises">
  ${rows.map((row) => {
    const [name, mark, words] = STATES[row.state];
    return html`<li class="row"><span class=${`badge ${name}`}><span aria-hidden="true">${mark}</span> ${words}</span>
      <span>${row.words}${row.more && html`<span class="quiet small"> ${row.more}</span>`}</span></li>`;
  })}
</ul>`;

const Running = ({ run, end }) => html`<div class="stack">
  <p>Seed <b>${run.seed}</b>, ${duration(run.done)} of ${duration(run.seconds)}: ${run.words}.</p>
  <progress max=${run.seconds} value=${run.done} aria-label="Progress of the chaos"></progress>
  <div class="row"><button class="danger" onClick=${end}>${run.ends ? 'Do not wait for the last outcomes' : 'End it now'}</button></div>
  <${Promises} rows=${run.promises} />
</div>`;

const Result = ({ result, open }) => html`<details class="card" open=${open}>
  <summary class="row"><span class=${`badge ${result.violations.length ? 'bad' : 'good'}`}>${result.violations.length ? 'broken' : 'all promises held'}</span>
    <span>seed ${result.seed}, ${duration(result.seconds)}${result.ended_early ? ', ended early' : ''}</span></summary>
  <div class="stack">
    <${Promises} rows=${result.promises} />
    <p><a href=${result.page} target="_blank" rel="noopener">The whole report of seed ${result.seed}</a></p>
  </div>
</details>`;

export const Chaos = ({ chaos, say }) => {
  const [minutes, setMinutes] = useState('1');
  const [seed, setSeed] = useState('');
  const [failure, setFailure] = useState('');
  const give = async (name, asked, words) => {
    setFailure('');
    try {
      await order(name, asked);
      say(words);
    } catch (error) {
      setFailure(error.message);
    }
  };
  const begin = (event) => {
    event.preventDefault();
    const drawn = seed.trim() ? Number(seed) : null;
    if (drawn !== null && !Number.isSafeInteger(drawn)) return setFailure('A seed is a whole number; leave it empty to draw one.');
    give('chaos', { minutes: Number(minutes), seed: drawn }, 'Chaos begins.');
  };
  return html`<div class="stack">
    <p class="quiet small">Faults from a seed come and go while every node asks the others and sends them files; then it is checked what came of it.</p>
    ${chaos.running
      ? html`<${Running} run=${chaos.running} end=${() => give('chaos-end', {}, 'The chaos ends.')} />`
      : html`<form class="row" onSubmit=${begin} novalidate>
          <label class="above"><span>Minutes</span><input value=${minutes} inputmode="decimal" size="6" onInput=${(event) => setMinutes(event.target.value)} /></label>
          <label class="above"><span>Seed <span class="quiet small">(empty: drawn)</span></span><input value=${seed} inputmode="numeric" size="14" onInput=${(event) => setSeed(event.target.value)} /></label>
          <button class="first">Start chaos</button>
        </form>`}
    ${(failure || chaos.failure) && html`<p class="note bad" role="alert">${failure || chaos.failure}</p>`}
    ${chaos.results.length > 0 && html`<h3>${plural(chaos.results.length, 'run', 'runs')} so far</h3>`}
    ${chaos.results.map((result, index) => html`<${Result} key=${result.number} result=${result} open=${index === 0} />`)}
  </div>`;
};
