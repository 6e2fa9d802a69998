// The places that keep copies of this node: how old the newest is, and making one now.

import { html, useEffect, useState } from '../html.js';
import { ask } from './api.js';
import { Empty, Section, say, useAction } from './parts.js';
import { duration, shown } from './text.js';

const OFTEN = 1000; // milliseconds between two looks

export function Part({ node }) {
  const [remotes, setRemotes] = useState(null);
  const [busy, run] = useAction();
  useEffect(() => {
    let timer;
    let ended = false;
    const go = async () => {
      try {
        if (!document.hidden) setRemotes((await ask('backups')).remotes);
      } catch (error) {
        if (error.kind !== 'Gone') say(error.message, 'bad');
      }
      if (!ended) timer = setTimeout(go, OFTEN);
    };
    go();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, []);
  if (!remotes) return html`<${Section} title="Backups"><p class="quiet">Asking the node…</p><//>`;
  const begin = (remote) =>
    run(async () => {
      setRemotes((await ask('back_up', { name: remote.name })).remotes);
      say(`A copy to ${shown(remote.name)} begins.`);
    });
  const our = shown(node.sample.name, 80);
  return html`<${Section} title="Backups">
    ${remotes.length === 0 && html`<${Empty}>This node has no backups. On its machine, <code>nectar backup add disk FOLDER --node ${our}</code> makes copies on another disk, continuously.<//>`}
    ${remotes.map((remote) => html`<article class="card stack" key=${remote.name} aria-label=${remote.name}>
      <div class="row"><h3>${shown(remote.name)}</h3><${State} remote=${remote} />
        <button class="push" disabled=${busy || remote.running_seconds != null} onClick=${() => begin(remote)} aria-label="Back up to ${remote.name} now">Back up now</button></div>
      <p>${remote.copy == null ? 'There is no copy yet.' : `Copy ${remote.copy} is ${remote.age_seconds == null ? 'complete' : `${duration(remote.age_seconds)} old`}.`}
        ${' '}${remote.waiting_seconds == null ? 'Nothing has changed since.' : `Changes have waited for ${duration(remote.waiting_seconds)}.`}
        ${' '}${remote.next_seconds != null ? `The next copy begins ${remote.next_seconds < 1 ? 'now' : `in ${duration(remote.next_seconds)}`}.` : remote.every_seconds == null ? 'Copies are made only when you say so.' : ''}</p>
      ${remote.failure && html`<p class="note bad">The last attempt has failed: ${shown(remote.failure, 600)}</p>`}
    </article>`)}
  <//>`;
}

function State({ remote }) {
  if (remote.running_seconds != null) return html`<span class="badge">a copy is being made, for ${duration(remote.running_seconds)}</span>`;
  if (remote.failure) return html`<span class="badge bad">failed</span>`;
  if (remote.copy == null) return html`<span class="badge warn">no copy</span>`;
  return html`<span class="badge good">backed up</span>`;
}
