// The page of a testnet: follows its snapshots, and puts the parts together.

import { html, render, useEffect, useRef, useState } from '../shared/html.js';
import { Chaos } from './chaos.js';
import { FaultForm, FaultList } from './faults.js';
import { Panel, SAMPLES } from './panel.js';
import { Picture } from './picture.js';
import { Reports } from './reports.js';
import { follow, order } from './server.js';
import { Errors, Links, Nodes } from './tables.js';
import { key, plural } from './words.js';

const TABS = { faults: 'Faults', chaos: 'Chaos', tables: 'Nodes and links', errors: 'Errors', reports: 'Reports' };

const remember = (history, name, value) => {
  const values = [...(history.get(name) ?? []), value];
  history.set(name, values.slice(-SAMPLES));
};

const summary = (snapshot) => {
  const states = {};
  for (const { state } of snapshot.nodes) states[state] = (states[state] ?? 0) + 1;
  return Object.entries(states).map(([state, number]) => `${number} ${state}`).join(', ');
};

const Tabs = ({ tab, setTab, counts }) => {
  const names = Object.keys(TABS);
  const turn = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = names[(names.indexOf(tab) + step + names.length) % names.length];
    setTab(next);
    document.getElementById(`tab-${next}`).focus();
  };
  return html`<div class="tabs" role="tablist" aria-label="More of the testnet" onKeyDown=${turn}>
    ${names.map((name) => html`<button role="tab" id=${`tab-${name}`} aria-selected=${tab === name} aria-controls="part" tabindex=${tab === name ? 0 : -1}
      onClick=${() => setTab(name)}>${TABS[name]}${counts[name] ? html` <span class=${`badge ${name === 'chaos' ? '' : 'bad'}`}>${counts[name]}</span>` : ''}</button>`)}
  </div>`;
};

const Head = ({ snapshot, live, say }) => {
  const [link, setLink] = useState('');
  const more = () => order('link').then((told) => setLink(told.url), (error) => say(error.message));
  const held = snapshot.faults.length;
  return html`<header class="row">
    <h1>Testnet <code>${snapshot.folder}</code></h1>
    <span>${summary(snapshot)}</span>
    <span class=${`badge ${held ? 'bad' : 'good'}`}>${held ? plural(held, 'fault holds', 'faults hold') : 'no fault holds'}</span>
    <span class="push row"><span class=${`badge ${live ? 'good' : 'warn'}`}>${live ? 'live' : 'not live'}</span>
      <button class="plain" onClick=${more}>Another browser</button></span>
    ${link && html`<p class="note wide">This link signs in once, within a minute: <code>${link}</code></p>`}
  </header>`;
};

const LINKS = {
  none: 'The nodes reach each other directly, so there are no links to break: start them without --direct.',
  ended: 'The links between the nodes have ended, so no node reaches another: nectar testnet up starts them again.',
  silent: 'The links do not answer.',
};

const App = () => {
  const [snapshot, setSnapshot] = useState(null);
  const [chaos, setChaos] = useState({ running: null, failure: '', results: [] });
  const [live, setLive] = useState(true);
  const [chosen, choose] = useState(null);
  const [wanted, setWanted] = useState(null);
  const [tab, setTab] = useState('faults');
  const [said, say] = useState('');
  const history = useRef({ nodes: new Map(), links: new Map() });
  useEffect(() => follow((name, value) => {
    if (name === 'chaos') return setChaos(value);
    for (const node of value.nodes) remember(history.current.nodes, node.name, node.messages_per_second);
    for (const link of value.links) remember(history.current.links, key(link.ends), link.bytes_per_second);
    document.title = `${value.faults.length ? `(${value.faults.length}) ` : ''}Testnet ${value.folder}`;
    setSnapshot(value);
  }, setLive), []);
  useEffect(() => {
    if (snapshot !== null) performance.mark('drawn');
  }, [snapshot === null]);
  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => say(''), 8000);
    return () => clearTimeout(timer);
  }, [said]);
  if (!snapshot) return html`<p class="empty">${live ? 'The testnet is being looked at…' : 'The server does not answer; it is tried again.'}</p>`;
  const breakIt = (where) => {
    setWanted({ ...where });
    setTab('faults');
    requestAnimationFrame(() => document.getElementById('kind')?.focus());
  };
  const join = (ends) => {
    choose({ link: ends });
    breakIt({ between: ends });
  };
  const names = snapshot.nodes.map((node) => node.name);
  const counts = { faults: snapshot.faults.length, errors: snapshot.errors.length, chaos: chaos.running ? 'under way' : 0 };
  return html`
    <a class="skip" href="#part">To faults, chaos and tables</a>
    <${Head} snapshot=${snapshot} live=${live} say=${say} />
    ${!live && html`<p class="note warn" role="alert">The connection is lost, and is tried again: does nectar testnet watch --web still run?</p>`}
    ${snapshot.down && html`<p class="note bad" role="alert">${snapshot.down}</p>`}
    ${!snapshot.down && LINKS[snapshot.state] && html`<p class="note warn" role="alert">${LINKS[snapshot.state]}</p>`}
    <main class="above-all">
      <${Picture} snapshot=${snapshot} chosen=${chosen} choose=${choose} join=${join} />
      <${Panel} snapshot=${snapshot} history=${history.current} chosen=${chosen} say=${say} breakIt=${breakIt} />
      <section class="wide stack" aria-label="More of the testnet">
        <${Tabs} tab=${tab} setTab=${setTab} counts=${counts} />
        <div id="part" role="tabpanel" tabindex="-1" aria-labelledby=${`tab-${tab}`}>
          ${tab === 'faults' && html`<div class="halves">
            <${FaultForm} names=${names} wanted=${wanted} say=${say} />
            <${FaultList} faults=${snapshot.faults} leftOut=${snapshot.left_out.faults} say=${say} /></div>`}
          ${tab === 'chaos' && html`<${Chaos} chaos=${chaos} say=${say} />`}
          ${tab === 'tables' && html`<div class="stack">
            <${Nodes} nodes=${snapshot.nodes} chosen=${chosen} choose=${choose} leftOut=${snapshot.left_out.nodes} />
            <${Links} links=${snapshot.links} chosen=${chosen} choose=${choose} leftOut=${snapshot.left_out.links} /></div>`}
          ${tab === 'errors' && html`<${Errors} errors=${snapshot.errors} />`}
          ${tab === 'reports' && html`<${Reports} />`}
        </div>
      </section>
    </main>
    <p class="said" role="status">${said}</p>`;
};

const page = document.getElementById('page');
page.textContent = '';
render(html`<${App} />`, page);
