// Files on their way to and from this node; drop one on a node to send it there.

import { html, useEffect, useRef, useState } from '../html.js';
import { ask, upload } from './api.js';
import { Drop, Empty, Section, Table, say } from './parts.js';
import { percent, shown, size } from './text.js';

const OFTEN = 700; // milliseconds between two looks
const SENDER = 'file_transfer:file_transfer:sys';
const REGISTRAR = 'registrar.nec';

// What goes from this browser to the node outlives a look at another part of the page.
const coming = new Map();
let changed = () => {};
let next = 0;

async function give(file, target) {
  const id = `here-${(next += 1)}`;
  const ends = new AbortController();
  const row = { id, direction: 'sending', peer: target, name: file.name, size: file.size, bytes: 0, state: 'given to the node', end: () => ends.abort() };
  coming.set(id, row);
  changed();
  try {
    const told = (bytes) => {
      coming.set(id, { ...row, bytes });
      changed();
    };
    const there = await upload(file, file.name, told, ends.signal);
    await ask('send', { upload: there, name: target });
    coming.delete(id);
  } catch (error) {
    if (ends.signal.aborted) coming.delete(id);
    else coming.set(id, { ...row, state: 'failed', reason: error.message });
    if (!ends.signal.aborted) say(`${shown(file.name)} is not sent: ${error.message}`, 'bad');
  }
  changed();
}

// Whether there is nobody to ask: a question to nobody would be one of the node's errors.
const lacksSender = ({ processes, process_count: all }) =>
  processes.length === all && !processes.some((row) => row.address.endsWith(`@${SENDER}`));

export function Part({ node }) {
  const latest = useRef(node);
  latest.current = node;
  const [listed, setListed] = useState([]);
  const [other, setOther] = useState('');
  const [problem, setProblem] = useState(null);
  const [, again] = useState(0);
  const look = async () => {
    if (lacksSender(latest.current.sample)) {
      setProblem(`${SENDER} does not run: start the package file_transfer, which sends files.`);
      return;
    }
    try {
      setListed((await ask('transfers')).transfers);
      setProblem(null);
    } catch (error) {
      if (error.kind !== 'Gone') setProblem(error.message);
    }
  };
  useEffect(() => {
    changed = () => again((count) => count + 1);
    let timer;
    let ended = false;
    const go = async () => {
      if (!document.hidden) await look();
      if (!ended) timer = setTimeout(go, OFTEN);
    };
    go();
    return () => {
      ended = true;
      clearTimeout(timer);
      changed = () => {};
    };
  }, []);
  const { sample } = node;
  const peers = sample.peers.filter((row) => row.host || row.router).map((row) => row.name).filter((name) => name !== REGISTRAR);
  const send = (files, target) => {
    if (files.some(({ path }) => path.includes('/'))) return say('A folder is not sent: pack it into one file first, such as a zip.', 'bad');
    return files.forEach(({ file }) => give(file, target));
  };
  const end = async (row) => {
    try {
      if (row.end) {
        row.end();
        coming.delete(row.id);
        changed();
      } else await ask('cancel_transfer', { transfer: row.id });
      await look();
    } catch (error) {
      say(error.message, 'bad');
    }
  };
  const retry = async (row) => {
    try {
      await ask('send', { upload: row.upload, name: row.peer });
      await ask('cancel_transfer', { transfer: row.id });
      await look();
    } catch (error) {
      say(error.message, 'bad');
    }
  };
  const columns = [
    ['File', (row) => html`<bdi>${shown(row.name, 200)}</bdi>`],
    ['Way', (row) => `${row.direction === 'sending' ? 'to' : 'from'} ${shown(row.peer, 100)}`],
    ['Progress', Progress],
    ['State', (row) => html`<${State} row=${row} />`],
    ['', (row) => html`<div class="row">
      ${row.state === 'failed' && row.upload && html`<button onClick=${() => retry(row)} aria-label="Send ${row.name} again">Again</button>`}
      <button class="plain" onClick=${() => end(row)} aria-label="${over(row) ? 'Forget' : 'Stop'} ${row.name}">${over(row) ? 'Forget' : 'Stop'}</button></div>`],
  ];
  const rows = [...coming.values(), ...listed];
  return html`<${Section} title="Transfers">
    <div class="targets">
      ${peers.map((name) => html`<${Drop} key=${name} label="Choose a file for ${shown(name, 60)}…" onFiles=${(files) => send(files, name)}>
        <h3>${shown(name, 100)}</h3><p class="quiet">Drop a file here to send it there.</p>
      <//>`)}
      <${Drop} label="Choose a file…" busy=${!other.trim()} onFiles=${(files) => send(files, other.trim())}>
        <label class="above">To another node
          <input placeholder="two.nec" autocomplete="off" spellcheck=${false} value=${other} onInput=${(event) => setOther(event.target.value)} /></label>
        <p class="quiet">${other.trim() ? 'Drop a file here to send it there.' : 'Name the node, then drop a file here.'}</p>
      <//>
    </div>
    ${problem && html`<p class="note bad">${shown(problem, 600)}</p>`}
    ${rows.length === 0 ? html`<${Empty}>Nothing is on its way. Drop a file on a node above; what others send to this node is shown here, too.<//>`
      : html`<${Table} name="Transfers" columns=${columns} rows=${rows} keyOf=${(row) => row.id} />`}
  <//>`;
}

const over = (row) => row.state === 'done' || row.state === 'failed';

function Progress(row) {
  if (row.state === 'done') return size(row.size);
  const share = row.size ? row.bytes / row.size : 0;
  return html`<div><progress max="1" value=${share} aria-label="Progress of ${row.name}"></progress>
    <div class="small quiet">${size(row.bytes)} of ${size(row.size)}, ${percent(share)}</div></div>`;
}

function State({ row }) {
  if (row.state === 'done') return html`<span class="badge good">arrived</span>`;
  if (row.state === 'failed') return html`<span class="badge bad">failed</span> <span>${shown(row.reason, 600)}</span>`;
  return html`<span class="badge">${shown(row.state)}</span> ${row.note ? shown(row.note) : ''}`;
}
