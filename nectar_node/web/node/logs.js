// The node's log as it is written, of all or of one package.

import { html, useEffect, useRef, useState } from '../html.js';
import { follow } from './api.js';
import { Empty, Section } from './parts.js';
import { packageOf, shown } from './text.js';

const MOST = 1000;

export function Part({ node, rest }) {
  const [whose, setWhose] = useState(rest[0] ?? '');
  const [lines, setLines] = useState([]);
  const [runs, setRuns] = useState(true);
  const after = useRef(0);
  const box = useRef(null);
  const atEnd = useRef(true);
  useEffect(() => {
    if (!runs) return undefined;
    return follow('logs', () => ({ after: after.current }), (event) => {
      after.current = event.lines.at(-1).number;
      const gap = event.lost ? [{ number: event.lines[0].number - 0.5, time: '', source: '', text: `${event.lost} lines were written meanwhile.` }] : [];
      setLines((before) => [...before, ...gap, ...event.lines].slice(-MOST));
    });
  }, [runs]);
  useEffect(() => {
    after.current = 0;
    setLines([]);
  }, [node.sample.boot_id]);
  const wanted = lines.filter((line) => !whose || (line.source.includes(':') ? packageOf(line.source) : line.source) === whose);
  useEffect(() => {
    if (atEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [wanted.length, wanted.at(-1)?.number]);
  const sources = [...new Set([...lines.map((line) => (line.source.includes(':') ? packageOf(line.source) : line.source)), ...node.sample.processes.map((row) => packageOf(row.address)), whose])].filter(Boolean).sort();
  const scrolled = ({ target }) => {
    atEnd.current = target.scrollHeight - target.scrollTop - target.clientHeight < 40;
  };
  return html`<${Section} title="Logs" aside=${html`<button aria-pressed=${!runs} onClick=${() => setRuns(!runs)}>${runs ? 'Pause' : 'Go on'}</button>`}>
    <label class="above">Of
      <select value=${whose} onChange=${(event) => setWhose(event.target.value)}>
        <option value="">the whole node</option>
        ${sources.map((each) => html`<option key=${each} value=${each}>${shown(each)}</option>`)}
      </select></label>
    ${wanted.length === 0 ? html`<${Empty}>${whose ? 'It has written nothing that the node remembers.' : 'The log is empty.'} New lines appear as they are written.<//>`
      : html`<div class="log" role="log" aria-live="off" aria-label="Log" tabindex="0" ref=${box} onScroll=${scrolled}>
        ${wanted.map((line) => html`<p key=${line.number}><span class="quiet">${line.time}</span> <span class="source"><bdi>${shown(line.source, 200)}</bdi></span> ${shown(line.text, 4000)}</p>`)}
      </div>`}
  <//>`;
}
