// The faults that hold, and a form for one more. The server checks what is typed, and says which field is wrong.

import { html, useEffect, useState } from '../shared/html.js';
import { lookUp, order } from './server.js';
import { duration, spans } from './words.js';

const WHERES = { between: 'Between two nodes', node: 'All links of a node', way: 'One way', all: 'All links' };

const Problem = ({ id, text }) => text && html`<span class="bad small" id=${id} role="alert">${text}</span>`;

const Labelled = ({ name, unit, problem, children }) => html`<label class="above">
  <span>${name}${unit && html` <span class="quiet small">(${unit})</span>`}</span>
  ${children}
  <${Problem} id=${`problem-${name}`} text=${problem} />
</label>`;

const Nodes = ({ names, value, set, ...more }) => html`<select value=${value} onChange=${(event) => set(event.target.value)} ...${more}>
  <option value="">choose…</option>
  ${names.map((name) => html`<option value=${name} selected=${name === value}>${name}</option>`)}
</select>`;

const Field = ({ field, value, set, names, problem }) => {
  const wrong = { 'aria-invalid': problem ? 'true' : undefined, 'aria-describedby': problem ? `problem-${field.name}` : undefined };
  const usual = field.default == null ? '' : String(field.default);
  let control;
  if (field.type === 'choice') {
    control = html`<select value=${value || usual} onChange=${(event) => set(event.target.value)} ...${wrong}>
      ${field.choices.map((each) => html`<option value=${each} selected=${each === (value || usual)}>${each.replaceAll('_', ' ')}</option>`)}
    </select>`;
  } else if (field.type === 'node') {
    control = html`<${Nodes} names=${names} value=${value || usual} set=${set} ...${wrong} />`;
  } else {
    const number = field.type === 'number' || field.type === 'integer';
    control = html`<input value=${value} placeholder=${usual} inputmode=${number ? 'decimal' : 'text'} autocomplete="off" spellcheck=${false}
      onInput=${(event) => set(event.target.value)} ...${wrong} />`;
  }
  return html`<${Labelled} name=${field.name} unit=${field.unit} problem=${problem}>${control}<//>`;
};

const Where = ({ where, set, names, problem }) => html`<fieldset class="row" aria-describedby=${problem ? 'problem-where' : undefined}>
  <label class="above"><span>Where</span>
    <select value=${where.what} onChange=${(event) => set({ ...where, what: event.target.value })}>
      ${Object.entries(WHERES).map(([what, words]) => html`<option value=${what} selected=${what === where.what}>${words}</option>`)}
    </select></label>
  ${where.what !== 'all' && html`<label class="above"><span>${where.what === 'way' ? 'From' : 'Node'}</span>
    <${Nodes} names=${names} value=${where.first} set=${(first) => set({ ...where, first })} /></label>`}
  ${(where.what === 'between' || where.what === 'way') && html`<label class="above"><span>${where.what === 'way' ? 'To' : 'and'}</span>
    <${Nodes} names=${names} value=${where.second} set=${(second) => set({ ...where, second })} /></label>`}
  <${Problem} id="problem-where" text=${problem} />
</fieldset>`;

const chosenLinks = ({ what, first, second }) => {
  if (what === 'between') return { between: `${first},${second}` };
  if (what === 'node') return { node: first };
  return what === 'way' ? { source: first, target: second } : {};
};

/** `wanted` is what the picture has last asked for: {between: [a, b]} or {node}, or nothing. */
export const FaultForm = ({ names, wanted, say }) => {
  const [forms, setForms] = useState([]);
  const [kind, setKind] = useState('partition');
  const [values, setValues] = useState({});
  const [where, setWhere] = useState({ what: 'between', first: '', second: '' });
  const [seconds, setSeconds] = useState('');
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => void lookUp('faults').then((told) => setForms(told.forms), setProblem), []);
  useEffect(() => {
    if (wanted?.between) setWhere({ what: 'between', first: wanted.between[0], second: wanted.between[1] });
    if (wanted?.node) {
      setWhere({ what: 'node', first: wanted.node, second: '' });
      setValues((before) => ({ ...before, node: wanted.node }));
    }
  }, [wanted]);
  const form = forms.find((each) => each.kind === kind);
  if (!form) return problem ? html`<p class="note bad" role="alert">${problem.message}</p>` : html`<p class="empty">…</p>`;
  const add = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    const given = form.fields.map((field) => [field.name, (values[field.name] ?? '').trim()]).filter(([, value]) => value);
    try {
      const links = form.links ? chosenLinks(where) : {};
      const row = await order('fault', { kind, parameters: Object.fromEntries(given), ...links, seconds });
      say(`Holds now: ${row.words}.`);
    } catch (error) {
      setProblem(error);
    }
    setBusy(false);
  };
  const about = (field) => (problem && problem.field === field ? problem.message : '');
  const shown = [...form.fields.map((field) => field.name), 'for', form.links ? '' : null];
  const group = (title, links) => html`<optgroup label=${title}>
    ${forms.filter((each) => each.links === links).map((each) => html`<option value=${each.kind} selected=${each.kind === kind}>${each.kind.replaceAll('_', ' ')}</option>`)}
  </optgroup>`;
  return html`<form class="stack" onSubmit=${add} novalidate>
    <h3>One more fault</h3>
    <label class="above"><span>Fault</span>
      <select id="kind" value=${kind} onChange=${(event) => { setKind(event.target.value); setProblem(null); }}>
        ${group('Of links', true)}${group('Of nodes', false)}
      </select></label>
    <p class="small quiet">${spans(html, `${form.about} ${form.more}`)}</p>
    ${form.links && html`<${Where} where=${where} set=${setWhere} names=${names} problem=${about('')} />`}
    <div class="row fields">
      ${form.fields.map((field) => html`<${Field} key=${`${kind}/${field.name}`} field=${field} names=${names} value=${values[field.name] ?? ''}
        set=${(value) => setValues({ ...values, [field.name]: value })} problem=${about(field.name)} />`)}
      <${Labelled} name="for" unit="seconds; empty: until removed" problem=${about('for')}>
        <input value=${seconds} inputmode="decimal" autocomplete="off" onInput=${(event) => setSeconds(event.target.value)}
          aria-invalid=${about('for') ? 'true' : undefined} />
      <//>
    </div>
    ${problem && !shown.includes(problem.field) && html`<p class="note bad" role="alert">${problem.message}</p>`}
    <div class="row"><button class="first" disabled=${busy}>${busy ? 'Adding…' : 'Add the fault'}</button></div>
  </form>`;
};

export const FaultList = ({ faults, leftOut, say }) => {
  const [failure, setFailure] = useState('');
  const remove = (number) => async () => {
    setFailure('');
    try {
      const { removed } = await order('remove', { number });
      say(removed.length === 1 ? `Removed: ${removed[0].words}.` : `${removed.length} faults are removed.`);
    } catch (error) {
      setFailure(error.message);
    }
  };
  return html`<section class="stack" aria-labelledby="holding">
    <div class="row"><h3 id="holding">Faults that hold</h3>
      ${faults.length > 1 && html`<button class="push" onClick=${remove(null)}>Remove all</button>`}</div>
    ${faults.length === 0 && html`<p class="empty">No fault holds.</p>`}
    ${faults.length > 0 && html`<ul class="list">
      ${faults.map((each) => html`<li class="row" key=${each.number}>
        <span>${each.words}</span>
        <span class="quiet small">${each.left == null ? 'until removed' : `ends in ${duration(each.left)}`}</span>
        <button class="push" aria-label=${`Remove fault ${each.number}: ${each.words}`} onClick=${remove(each.number)}>Remove</button>
      </li>`)}
    </ul>`}
    ${leftOut > 0 && html`<p class="quiet">${leftOut} more are not shown.</p>`}
    ${failure && html`<p class="note bad" role="alert">${failure}</p>`}
  </section>`;
};
