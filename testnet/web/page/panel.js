// What is chosen, a node or a link: its figures of the last minutes, and what can be done with it.

import { html, useState } from '../shared/html.js';
import { order } from './server.js';
import { count, key, plural, rate, since, size } from './words.js';

export const SAMPLES = 240;

const Line = ({ values, words }) => {
  const known = values.map((value) => value ?? 0);
  const most = Math.max(1, ...known);
  const path = known.map((value, index) => `${((index + SAMPLES - known.length) * 200) / (SAMPLES - 1)},${38 - (value * 36) / most}`).join(' ');
  return html`<svg class="spark" viewBox="0 0 200 40" preserveAspectRatio="none" role="img" aria-label=${words}>
    <polyline points=${path} />
  </svg>`;
};

const Figure = ({ name, children }) => html`<div><dt>${name}</dt><dd>${children}</dd></div>`;

const NODE_ORDERS = {
  running: ['pause', 'kill', 'restart'],
  paused: ['resume', 'kill'],
  down: ['restart'],
  silent: ['pause', 'kill', 'restart'],
  starting: ['kill'],
};
const NAMES = { pause: 'Pause', resume: 'Resume', kill: 'Kill', restart: 'Restart' };

const NodePanel = ({ node, samples, say, breakIt, busy, run }) => {
  const started = node.state === 'down' ? 'Start' : 'Restart';
  const act = (what) => run(async () => say((await order('node', { name: node.name, order: what })).sentence));
  const lately = (what) => (node.lately[what] ? html` <span class="small quiet">+${node.lately[what]}</span>` : '');
  return html`
    <p>${node.state} for ${since(node)}${node.pid ? `, process ${node.pid}` : ''}${node.faults.length ? html`; <span class="bad">faults: ${node.faults.join(', ')}</span>` : ''}</p>
    <div class="row">
      ${(NODE_ORDERS[node.state] ?? []).map((what) => html`<button class=${what === 'kill' ? 'danger' : ''} disabled=${busy} onClick=${() => act(what)}>${what === 'restart' ? started : NAMES[what]}</button>`)}
      <button disabled=${busy} onClick=${() => breakIt({ node: node.name })}>Break its links…</button>
    </div>
    <${Line} values=${samples} words=${`Messages per second of the last two minutes; now ${node.messages_per_second ?? 'not known'}`} />
    <dl class="figures">
      <${Figure} name="Messages/s">${node.messages_per_second ?? '–'}<//>
      <${Figure} name="Answered">${count(node.counts.answered)}${lately('answered')}<//>
      <${Figure} name="Offline">${count(node.counts.offline)}${lately('offline')}<//>
      <${Figure} name="Timeout">${count(node.counts.timeout)}${lately('timeout')}<//>
      <${Figure} name="Pending">${count(node.outstanding)}<//>
      <${Figure} name="Processes">${count(node.processes)}<//>
    </dl>
    <p class="small quiet">Connected with ${node.peers.length ? node.peers.join(', ') : 'nobody'}.</p>`;
};

const LinkPanel = ({ link, samples, faults, say, breakIt, busy, run }) => {
  const [a, b] = link.ends;
  const between = link.ends.join(',');
  const add = (kind, parameters = {}) => () =>
    run(async () => say(`Holds now: ${(await order('fault', { kind, parameters, between })).words}.`));
  const remove = (each) => () => run(async () => {
    await order('remove', { number: each.number });
    say(`Removed: ${each.words}.`);
  });
  const both = samples.map(([there, back]) => (there ?? 0) + (back ?? 0));
  const own = faults.filter((each) => each.parameters.between?.slice().sort().join() === link.ends.slice().sort().join());
  const others = link.faults.length > own.length;
  return html`
    <div class="row">
      <button disabled=${busy} onClick=${add('partition')}>Partition</button>
      <button disabled=${busy} onClick=${add('latency', { seconds: '0.2' })}>Latency 0.2 s</button>
      <button disabled=${busy} onClick=${add('reset')}>Reset</button>
      <button disabled=${busy} onClick=${() => breakIt({ between: link.ends })}>More faults…</button>
    </div>
    ${own.map((each) => html`<p class="row note bad" key=${each.number}><span>${each.words}</span>
      <button class="push" disabled=${busy} onClick=${remove(each)}>Remove</button></p>`)}
    ${others && html`<p class="note bad">${link.faults.join(', ')} here: see the list of faults.</p>`}
    <${Line} values=${both} words=${`Bytes per second both ways, of the last two minutes; now ${rate(both.at(-1))}`} />
    <dl class="figures">
      <${Figure} name=${`From ${a}`}>${rate(link.bytes_per_second[0])}<//>
      <${Figure} name=${`From ${b}`}>${rate(link.bytes_per_second[1])}<//>
      <${Figure} name="In all">${size(link.bytes)}<//>
      <${Figure} name="Connections">${count(link.connections)}<//>
      <${Figure} name="Resets">${count(link.resets)}${link.resets_lately ? html` <span class="small quiet">+${link.resets_lately}</span>` : ''}<//>
    </dl>`;
};

const Everything = ({ snapshot }) => {
  const sum = (what) => snapshot.nodes.reduce((all, node) => all + (node.counts[what] ?? 0), 0);
  const messages = snapshot.nodes.reduce((all, node) => all + (node.messages_per_second ?? 0), 0);
  const bytes = snapshot.links.reduce((all, link) => all + (link.bytes_per_second[0] ?? 0) + (link.bytes_per_second[1] ?? 0), 0);
  return html`
    <p class="quiet">Choose a node or a link, in the picture or in the tables.</p>
    <dl class="figures">
      <${Figure} name="Messages/s">${Math.round(messages)}<//>
      <${Figure} name="On all links">${rate(bytes)}<//>
      <${Figure} name="Links">${count(snapshot.links.length + (snapshot.left_out.links ?? 0))}<//>
      <${Figure} name="Answered">${count(sum('answered'))}<//>
      <${Figure} name="Offline">${count(sum('offline'))}<//>
      <${Figure} name="Timeout">${count(sum('timeout'))}<//>
    </dl>`;
};

export const Panel = ({ snapshot, history, chosen, say, breakIt }) => {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState('');
  const run = async (what) => {
    setBusy(true);
    setFailure('');
    try {
      await what();
    } catch (error) {
      setFailure(error.message);
    }
    setBusy(false);
  };
  const common = { say, breakIt, busy, run };
  const node = chosen?.node && snapshot.nodes.find((each) => each.name === chosen.node);
  const link = chosen?.link && (snapshot.links.find((each) => key(each.ends) === key(chosen.link))
    ?? { ends: chosen.link, bytes_per_second: [0, 0], bytes: 0, connections: 0, resets: 0, resets_lately: 0, faults: [] });
  return html`<section class="card panel stack" aria-labelledby="chosen">
    <h2 id="chosen">${node ? node.name : link ? key(link.ends) : plural(snapshot.nodes.length, 'node', 'nodes')}</h2>
    ${node && html`<${NodePanel} node=${node} samples=${history.nodes.get(node.name) ?? []} ...${common} />`}
    ${link && html`<${LinkPanel} link=${link} samples=${history.links.get(key(link.ends)) ?? []} faults=${snapshot.faults} ...${common} />`}
    ${!node && !link && html`<${Everything} snapshot=${snapshot} />`}
    ${failure && html`<p class="note bad" role="alert">${failure}</p>`}
  </section>`;
};
