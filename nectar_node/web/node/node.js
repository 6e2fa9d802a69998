// The node's own page: who it is, whether it answers, and the parts between which one goes.

import { html, render, useEffect, useRef, useState } from '../html.js';
import { follow } from './api.js';
import { Told } from './parts.js';
import { count, decoded, duration, percent, rate, shown, size } from './text.js';

const VIEWS = {
  packages: ['Packages', () => import('./packages.js')],
  processes: ['Processes', () => import('./processes.js')],
  peers: ['Peers', () => import('./peers.js')],
  transfers: ['Transfers', () => import('./transfers.js')],
  messages: ['Messages', () => import('./messages.js')],
  errors: ['Errors', () => import('./errors.js')],
  logs: ['Logs', () => import('./logs.js')],
  backups: ['Backups', () => import('./backups.js')],
};
const isView = (name) => Object.hasOwn(VIEWS, name); // and not what every object has, such as `constructor`
const KEPT = 120; // samples that figures are drawn of: two minutes
const HIDDEN = 20000; // milliseconds after which a page that nobody sees asks for nothing

const place = () => location.hash.slice(1).split('/').map(decoded);

// What each process did between two samples, and the node as a whole.
function measured(before, now) {
  const seconds = before && before.boot_id === now.boot_id ? now.at - before.at : 0;
  const old = new Map((before?.processes ?? []).map((row) => [row.address, row]));
  const grown = (row, key) => {
    const first = old.get(row.address)?.[key];
    return seconds > 0 && typeof first === 'number' && row[key] >= first ? (row[key] - first) / seconds : null;
  };
  const rows = now.processes.map((row) => ({ ...row, rate: grown(row, 'messages'), cpu: grown(row, 'cpu_seconds') }));
  const total = (key) => rows.reduce((sum, row) => sum + (row[key] ?? 0), 0);
  return { rows, rate: total('rate'), cpu: total('cpu'), held: total('memory_bytes'), waiting: now.memory.used_bytes };
}

function useNode() {
  const [node, setNode] = useState(null);
  const [state, setState] = useState('connecting');
  const latest = useRef(null);
  useEffect(() => {
    let stop = null;
    let hidden = null;
    const heard = (sample) => {
      const before = latest.current;
      const figures = measured(before?.sample, sample);
      const history = [...(before?.history ?? []), figures].slice(-KEPT);
      latest.current = { sample, figures, history };
      setNode(latest.current);
    };
    const begin = () => {
      clearTimeout(hidden);
      stop ??= follow('watch', () => ({}), heard, setState);
    };
    const end = () => {
      stop?.();
      stop = null;
    };
    const seen = () => {
      if (document.hidden) hidden = setTimeout(end, HIDDEN);
      else begin();
    };
    const out = () => {
      end();
      if (!latest.current) location.replace('/login?to=%2F'); // nothing has been shown yet
      setState('signed-out');
    };
    begin();
    document.addEventListener('visibilitychange', seen);
    addEventListener('signed-out', out);
  }, []);
  return [node, state];
}

function useView() {
  const [view, setView] = useState({ name: '', Part: null, rest: [] });
  useEffect(() => {
    const go = async () => {
      const [first, ...rest] = place();
      const name = isView(first) ? first : 'packages';
      let Part;
      try {
        ({ Part } = await VIEWS[name][1]());
      } catch {
        setTimeout(go, 1000); // the node does not answer
        return;
      }
      if ((place()[0] || 'packages') === name || !isView(place()[0])) setView({ name, Part, rest });
    };
    go();
    addEventListener('hashchange', go);
  }, []);
  return view;
}

const STATES = {
  connecting: ['warn', 'connecting…'],
  live: ['good', 'live'],
  gone: ['bad', 'does not answer'],
  'signed-out': ['bad', 'signed out'],
};

function Top({ node, state, view }) {
  const [kind, word] = STATES[state];
  const sample = node?.sample;
  return html`<header class="top">
    <div class="row">
      <h1>${sample ? shown(sample.name, 80) : 'Nectar node'}</h1>
      <span class="row small"><span class="dot ${kind}" aria-hidden="true"></span><span id="state">${word}</span></span>
      ${sample && state === 'live' &&
      html`<span class="quiet small lately">up ${duration(sample.uptime)}, ${count(sample.process_count, 'process', 'processes')},
        ${' '}${rate(node.figures.rate)} messages/s, ${percent(node.figures.cpu)} CPU, ${size(node.figures.held)}</span>`}
      ${state !== 'signed-out' && html`<form class="push" method="post" action="/logout"><button class="plain">Sign out</button></form>`}
    </div>
    <nav class="tabs" aria-label="Parts of this page">
      ${Object.entries(VIEWS).map(([name, [title]]) => html`<a href="#${name}" aria-current=${name === view.name ? 'page' : undefined}>
        ${title}${name === 'errors' && sample?.dead_letters ? html` <span class="badge bad">${sample.dead_letters}</span>` : ''}
      </a>`)}
    </nav>
  </header>`;
}

function Page() {
  const [node, state] = useNode();
  const view = useView();
  useEffect(() => {
    if (node) document.title = `${document.title.split(' – ')[0]} – ${node.sample.name}`;
  }, [node?.sample.name]);
  useEffect(() => {
    if (!node || !view.Part) return;
    performance.mark('usable');
    for (const [, load] of Object.values(VIEWS)) load().catch(() => {}); // so that they are there if the node is not
  }, [Boolean(node && view.Part)]);
  return html`
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      (document.getElementById('title') ?? document.getElementById('main')).focus();
    }}>Go to the content</a>
    <${Top} node=${node} state=${state} view=${view} />
    <main id="main" tabindex="-1">
      <div role="alert">
        ${state === 'gone' && html`<p class="note bad">The node does not answer. It may have stopped, or its machine is not reached: this page
          goes on by itself when it is there again. On its machine, <code>nectar boot ${node ? shown(node.sample.name, 80) : 'NAME'}</code> starts it.</p>`}
        ${state === 'signed-out' && html`<p class="note bad">You are not signed in. <a href="/login">Sign in</a>, or run
          ${' '}<code>nectar open --node ${node ? shown(node.sample.name, 80) : 'NAME'}</code> on the node's machine.</p>`}
      </div>
      ${node?.sample.warnings.map((each) => html`<p class="note warn" key=${each}>${shown(each, 600)}</p>`)}
      <${Told} />
      ${node && view.Part ? html`<${view.Part} key=${[view.name, ...view.rest].join()} node=${node} rest=${view.rest} />` : state === 'connecting' && html`<p class="quiet">Asking the node…</p>`}
    </main>`;
}

render(html`<${Page} />`, document.getElementById('page'));
