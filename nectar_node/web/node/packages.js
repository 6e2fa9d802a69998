// What is installed, what it asks for and is granted; starting, stopping, and what each has on the disk.

import { html, useEffect, useState } from '../html.js';
import { ask, upload } from './api.js';
import { Confirm, Dialog, Drop, Empty, Section, say, useAction } from './parts.js';
import { count, near, packageOf, percent, rate, shown, size } from './text.js';
import { packageFiles, zip } from './zip.js';

const WORDS = { network: 'use the network' };

export function Part({ node }) {
  const [packages, setPackages] = useState(null);
  const [disk, setDisk] = useState(null);
  const [states, setStates] = useState([]);
  const [wanted, setWanted] = useState(null);
  const [busy, run] = useAction();
  const { sample, figures } = node;
  const load = async () => {
    const [listed, used, saved] = await Promise.all([ask('packages'), ask('df'), ask('states')]);
    setPackages(listed.packages);
    setDisk(used);
    setStates(saved.states);
  };
  const running = [...new Set(sample.processes.map((row) => packageOf(row.address)))].sort().join();
  useEffect(() => {
    load().catch((error) => say(error.message, 'bad'));
  }, [running, sample.boot_id]);

  const choose = (files) =>
    run(async () => {
      const [file, name] = await oneFile(files);
      say(`Giving ${shown(name)} to the node…`);
      const id = await upload(file, name);
      try {
        setWanted({ upload: id, name, review: await ask('review', { upload: id }) });
        say('');
      } catch (error) {
        ask('discard_upload', { upload: id }).catch(() => {});
        throw error;
      }
    });
  const start = (fields, name) =>
    run(async () => {
      const told = await ask('start', fields);
      setWanted(null);
      await load();
      const trapped = told.processes.filter((each) => each.trap);
      if (trapped.length) say(`${shown(name)} has started, and ${near(trapped[0].address, sample.name)} has failed at once: ${shown(trapped[0].trap)}`, 'bad');
      else say(`${told.package} runs.`);
    });

  if (!packages) return html`<${Section} title="Packages"><p class="quiet">Asking the node…</p><//>`;
  const extra = strangers(packages, figures.rows);
  return html`<${Section} title="Packages">
    <${Drop} label="Choose a zip or .wasm file…" accept=".zip,.wasm" folders busy=${busy} onFiles=${choose}>
      <p><strong>Start a package:</strong> drop a zip, a folder with a manifest.json, or a .wasm file here. You are asked before it gets any right.</p>
    <//>
    ${packages.length === 0 && html`<${Empty}>No package is installed. Start one above, or with <code>nectar start</code>.<//>`}
    ${packages.map((each) => html`<${Package} key=${each.package} each=${each} node=${node} disk=${disk} states=${states} busy=${busy} run=${run} load=${load} start=${start} />`)}
    ${extra.length > 0 && html`<p class="quiet">Processes of no installed package: ${extra.map((row) => shown(near(row.address, sample.name))).join(', ')}.</p>`}
    ${sample.not_running.length > 0 &&
    html`<div class="note warn"><p>Did not come back at the last boot:</p>
      <ul>${sample.not_running.map((each) => html`<li><code>${shown(each.process)}</code>: ${shown(each.why)}</li>`)}</ul></div>`}
    ${disk && html`<p class="quiet small">${size(disk.free)} of ${size(disk.total)} are free on the node's disk; packages leave ${size(disk.floor)} of it.</p>`}
    ${wanted && html`<${Wanted} wanted=${wanted} busy=${busy} start=${start} close=${() => {
      ask('discard_upload', { upload: wanted.upload }).catch(() => {});
      setWanted(null);
    }} />`}
  <//>`;
}

async function oneFile(files) {
  if (files.length === 1 && !files[0].path.includes('/')) return [files[0].file, files[0].file.name];
  const whole = packageFiles(files);
  if (!whole.files.some(({ path }) => path.endsWith('manifest.json'))) throw new Error('This folder holds no manifest.json, so it is no package: choose the folder that does.');
  return [await zip(whole.files), `${whole.name}.zip`];
}

const strangers = (packages, rows) => {
  const known = new Set(packages.map((each) => each.package));
  return rows.filter((row) => !known.has(packageOf(row.address)) && !row.parent);
};

function Package({ each, node, disk, states, busy, run, load, start }) {
  const [sure, setSure] = useState(false);
  const our = node.sample.name;
  const rows = node.figures.rows.filter((row) => packageOf(row.address) === each.package);
  const pages = rows.filter((row) => row.page);
  const trap = each.processes.find((process) => process.trap);
  const used = disk?.packages.find((row) => row.package === each.package);
  const saved = states.filter((row) => row.package === each.package);
  const sum = (key) => rows.reduce((total, row) => total + (row[key] ?? 0), 0);
  const stop = () =>
    run(async () => {
      setSure(false);
      await ask('kill', { address: each.package });
      await load();
      say(`${each.package} has ended.`);
    });
  const remove = (process) =>
    run(async () => {
      await ask('remove_state', { address: process });
      await load();
      say(`What ${process} had saved is removed.`);
    });
  let badge = html`<span class="badge">does not run</span>`;
  if (rows.length) badge = html`<span class="badge good">runs</span>`;
  else if (trap) badge = html`<span class="badge bad">has failed</span>`;
  else if (!each.processes.length) badge = html`<span class="badge">scripts only</span>`;
  return html`<article class="card stack" aria-label=${each.package}>
    <div class="row">
      <h3>${shown(each.package)}</h3>${badge}
      ${each.standing === 'unsigned' && html`<span class="badge bad" title="Nothing proves that the node in its name has published it">unsigned</span>`}
      <span class="quiet small">${rows.length > 0 && `${count(rows.length, 'process', 'processes')}, ${rate(sum('rate'))} messages/s, ${percent(sum('cpu'))} CPU, ${size(sum('memory_bytes'))}`}</span>
      <div class="push row">
        ${pages.map((row) => html`<a class="button" href=${row.page} aria-label="Open ${near(row.address, our)}">Open${pages.length > 1 && html` <bdi>${shown(near(row.address, our).split(':')[0])}</bdi>`}</a>`)}
        <a class="button" href="#logs/${each.package}">Log</a>
        ${each.processes.length > 0 && !rows.length && html`<button class="first" disabled=${busy} onClick=${() => start({ address: each.package }, each.package)}>Start</button>`}
        ${rows.length > 0 && html`<button class="danger" disabled=${busy} onClick=${() => setSure(true)}>Stop</button>`}
      </div>
    </div>
    ${trap && html`<p class="note bad">${shown(near(trap.address, our))} has failed: ${shown(trap.trap, 600)}</p>`}
    ${each.processes.length > 0 && html`<${Rights} each=${each} our=${our} busy=${busy} start=${start} />`}
    <details>
      <summary>Storage: ${used ? `${size(used.bytes)} in ${count(used.files, 'file')}` : 'nothing'}</summary>
      <p>${used && (used.quota_bytes == null ? 'No quota.' : `Its quota is ${size(used.quota_bytes)}.`)}
        ${' '}From ${each.shipped ? 'the node itself' : html`<code>${shown(each.origin)}</code>`}.</p>
      ${saved.map((row) => html`<div class="row" key=${row.process}><span><code>${shown(row.process)}</code> has saved ${size(row.bytes)}; it ${row.status === 'runs' ? 'runs' : 'does not run'}.</span>
        ${row.status !== 'runs' && html`<button class="danger" disabled=${busy} onClick=${() => remove(row.process)}>Remove what it has saved</button>`}</div>`)}
    </details>
    ${sure && html`<${Confirm} title="Stop ${each.package}?" danger label="Stop it" onYes=${stop} onNo=${() => setSure(false)}
      text="All its processes end at once, with those that they have started, and do not come back at the next boot. Its files stay." />`}
  </article>`;
}

// What a package asks for. Changing it starts the package again, since rights are given at the start.
function Rights({ each, our, busy, start }) {
  const absent = [...new Set(each.processes.flatMap((process) => process.absent))];
  const asked = [...new Set(each.processes.flatMap((process) => process.asked))].filter((right) => !absent.includes(right));
  const held = new Set(each.processes.flatMap((process) => process.granted));
  const [changed, setChanged] = useState({});
  const has = (right) => changed[right] ?? held.has(right);
  const different = asked.filter((right) => has(right) !== held.has(right));
  if (!asked.length && !absent.length) return html`<p class="quiet small">It asks for no rights.</p>`;
  const apply = async () => {
    await start({ address: each.package, grant: asked.filter(has), deny: asked.filter((right) => !has(right)) }, each.package);
    setChanged({});
  };
  const denied = asked.filter((right) => !held.has(right)).length;
  return html`<details>
    <summary>Rights: ${asked.length - denied} of ${asked.length} granted${denied > 0 && html` <span class="badge warn">${denied} denied</span>`}</summary>
    <fieldset class="stack"><legend class="unseen">Rights of ${each.package}</legend>
      <ul class="rights">${asked.map((right) => html`<li key=${right}><${Right} right=${right} powers=${each.powers} on=${has(right)} set=${(on) => setChanged({ ...changed, [right]: on })} /></li>`)}</ul>
      <${Absent} rights=${absent} />
      ${different.length > 0 && html`<div class="row"><button class="first" disabled=${busy} onClick=${apply}>Start it again with these rights</button>
        <button disabled=${busy} onClick=${() => setChanged({})}>Leave them</button></div>`}
    </fieldset>
  </details>`;
}

function Right({ right, powers, on, set }) {
  const power = powers.find((each) => each.capability === right);
  return html`<label><input type="checkbox" checked=${on} onChange=${(event) => set(event.target.checked)} />
    <span><code>${shown(right)}</code>${WORDS[right] ? ` – ${WORDS[right]}` : ''}${power ? html` <span class="badge warn">powerful</span> to ${shown(power.allows)}` : ''}</span></label>`;
}

const Absent = ({ rights }) => rights.length > 0 && html`<p class="quiet small">It also asks for ${rights.map((each) => shown(each)).join(', ')}, which this node has not.</p>`;

// What is asked before a package that somebody has given gets any right.
function Wanted({ wanted, busy, start, close }) {
  const { review, name } = wanted;
  const asked = review.requests.filter((right) => !review.absent.includes(right));
  const powerful = new Set(review.powers.map((each) => each.capability));
  const [granted, setGranted] = useState(() => Object.fromEntries(asked.map((right) => [right, !powerful.has(right)])));
  const [replace, setReplace] = useState(false);
  const go = () =>
    start({ upload: wanted.upload, grant: asked.filter((right) => granted[right]), deny: asked.filter((right) => !granted[right]), replace }, name);
  return html`<${Dialog} title="Start ${shown(review.package, 100)}?" onClose=${close}>
    <div class="stack">
      <p>From <code>${shown(name)}</code>: ${review.processes.length ? review.processes.map((each) => shown(each)).join(', ') : 'no processes'}.</p>
      ${review.requests.length === 0 && html`<p class="quiet">It asks for no rights.</p>`}
      ${asked.length > 0 && html`<fieldset><legend>It asks for these rights</legend>
        <ul class="rights">${asked.map((right) => html`<li key=${right}><${Right} right=${right} powers=${review.powers} on=${granted[right]} set=${(on) => setGranted({ ...granted, [right]: on })} /></li>`)}</ul>
      </fieldset>`}
      <${Absent} rights=${review.absent} />
      ${review.replaces && html`<label><input type="checkbox" checked=${replace} onChange=${(event) => setReplace(event.target.checked)} />
        <span>It takes the place of the ${shown(review.package)} from <code>${shown(review.replaces)}</code>, with its files and state.</span></label>`}
    </div>
    <div class="row">
      <button onClick=${close}>Cancel</button>
      <button class="first" disabled=${busy || (review.replaces && !replace)} onClick=${go}>Start it</button>
    </div>
  <//>`;
}
