// Message trees as they happen: each request, what was sent for it, and how it ended.

import { html, useEffect, useRef, useState } from '../html.js';
import { follow } from './api.js';
import { Empty, Section } from './parts.js';
import { clock, duration, near, shown, size } from './text.js';
import { Trees } from './trees.js';

const DRAWN = 250; // milliseconds between two drawings

export function Part({ node, rest }) {
  const our = node.sample.name;
  const [whose, setWhose] = useState(rest[0] ?? '');
  const [runs, setRuns] = useState(true);
  const [lost, setLost] = useState(0);
  const [live, setLive] = useState(false);
  const [, draw] = useState(0);
  const trees = useRef(new Trees());
  useEffect(() => {
    if (!runs) return undefined;
    let fresh = false;
    const heard = ({ record, lost: more, following }) => {
      if (following) setLive(true);
      if (record) trees.current.add(record);
      if (more) setLost((before) => before + more);
      fresh ||= Boolean(record);
    };
    const stop = follow('trace', () => (whose ? { address: whose } : {}), heard);
    const timer = setInterval(() => {
      if (fresh) draw((count) => count + 1);
      fresh = false;
    }, DRAWN);
    return () => {
      setLive(false);
      stop();
      clearInterval(timer);
    };
  }, [whose, runs]);
  const choose = (event) => {
    trees.current = new Trees();
    setLost(0);
    setWhose(event.target.value);
  };
  const clear = () => {
    trees.current = new Trees();
    draw((count) => count + 1);
  };
  const processes = node.sample.processes.map((row) => near(row.address, our));
  const all = trees.current.all();
  const aside = html`<button aria-pressed=${!runs} onClick=${() => setRuns(!runs)}>${runs ? 'Pause' : 'Go on'}</button><button onClick=${clear}>Clear</button>`;
  return html`<${Section} title="Messages" aside=${aside}>
    <label class="above">Of
      <select value=${whose} onChange=${choose}>
        <option value="">all processes</option>
        ${(whose && !processes.includes(whose) ? [whose, ...processes] : processes).map((each) => html`<option key=${each} value=${each}>${shown(each)}</option>`)}
      </select></label>
    ${lost > 0 && html`<p class="note warn">${lost} steps came faster than this page could take them, and are lost. Follow one process instead of all.</p>`}
    ${all.length === 0 && html`<${Empty}>${!runs ? 'Paused: nothing is followed.' : live ? 'No message has been sent since you came here. They appear as they are sent.' : 'Asking the node…'}<//>`}
    ${all.map((tree) => html`<article class="card" key=${tree.root}>
      <h3 class="small quiet">${clock(tree.tops[0].sent.time)}${tree.omitted > 0 && `, without ${tree.omitted} further steps`}</h3>
      <ul class="tree">${tree.tops.map((each) => html`<${Message} key=${each.sent.id} message=${each} start=${tree.tops[0].sent.at} our=${our} />`)}</ul>
    </article>`)}
  <//>`;
}

const who = (address, claim, our) => html`<bdi>${shown(near(address, our), 200)}</bdi>${claim ? html` <span class="badge warn" title="Nobody has proven that it is this process">claims</span>` : ''}`;

function Message({ message, start, our }) {
  const { sent, handed, arrived, outcomes, children } = message;
  const parts = [...children.map((child) => [child.sent.at, child]), ...outcomes.map((each) => [each.at, each])].sort((a, b) => a[0] - b[0]);
  const waits = !handed && !outcomes.length;
  return html`<li>
    <span class="at">+${duration(sent.at - start)}</span><strong>${who(sent.source, sent.claim, our)} → ${who(sent.target, false, our)}</strong>
    ${' '}<${Body} record=${sent} />
    <span class="quiet">${handed && handed.at > sent.at && `, taken after ${duration(handed.at - sent.at)}`}${arrived && `, there after ${duration(arrived.at - sent.at)}`}</span>
    ${waits && html`<span class="warn">, not taken yet</span>`}
    ${parts.length > 0 && html`<ul>${parts.map(([, part]) =>
      part.sent
        ? html`<${Message} key=${part.sent.id} message=${part} start=${start} our=${our} />`
        : html`<li key=${part.id + part.at}><span class="at">+${duration(part.at - start)}</span>${
            part.reason ? html`<span class="bad">✗ ${shown(part.step)}: ${shown(part.reason)}</span>` : html`<span class="good">← ${who(part.source, part.claim, our)}</span> <${Body} record=${part} />`
          }</li>`,
    )}</ul>`}
  </li>`;
}

const Body = ({ record }) => html`<span class="quiet">${size(record.body_bytes)}${record.blob_bytes != null && ` and a blob of ${size(record.blob_bytes)}`}</span>
  ${' '}<code>${shown(record.beginning, 120)}</code>`;
