// The network as a picture: nodes on a ring, in the order of their names, so that nothing ever moves about.

import { html, useEffect, useRef, useState } from '../shared/html.js';
import { brief, key, look, rate, since } from './words.js';

const MARKS = { running: '', paused: 'Ⅱ', down: '✕', silent: '?', starting: '…' };
const MOST_LABELS = 8;
const MANY = 8; // nodes, from which on a phone has no room for words

const places = (nodes, width, height) => {
  const [sides, ends] = [width < 560 ? 98 : 130, 62];
  const [across, down] = [Math.max(40, width / 2 - sides), Math.max(40, height / 2 - ends)];
  return new Map(nodes.map(({ name }, index) => {
    const angle = (2 * Math.PI * index) / nodes.length - Math.PI / 2;
    const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
    return [name, { x: width / 2 + across * cosine, y: height / 2 + down * sine, cosine, sine }];
  }));
};

const thickness = (link) => {
  const bytes = (link.bytes_per_second[0] ?? 0) + (link.bytes_per_second[1] ?? 0);
  return 1.5 + Math.min(7, 2 * Math.log10(1 + bytes / 50));
};

const linkWords = (link) => {
  const [a, b] = link.ends;
  const faults = link.faults.length ? `, faults: ${link.faults.join(', ')}` : '';
  return `${key(link.ends)}: ${rate(link.bytes_per_second[0])} from ${a}, ${rate(link.bytes_per_second[1])} from ${b}${faults}`;
};

const nodeWords = (node) => {
  const { answered = 0, offline = 0, timeout = 0 } = node.counts;
  const faults = node.faults.length ? `, faults: ${node.faults.join(', ')}` : '';
  return `${node.name}: ${node.state} for ${since(node)}, ${answered} answered, ${offline} Offline, ${timeout} Timeout${faults}`;
};

const onKey = (act) => (event) => {
  if (event.key !== 'Enter' && event.key !== ' ') return;
  event.preventDefault();
  act();
};

const Link = ({ link, at, chosen, choose }) => {
  const [a, b] = link.ends.map((name) => at.get(name));
  if (!a || !b) return null;
  const line = { x1: a.x, y1: a.y, x2: b.x, y2: b.y };
  return html`<g class=${`link ${look(link.faults)} ${chosen ? 'chosen' : ''}`} data-link=${key(link.ends)} onClick=${choose}>
    <title>${linkWords(link)}</title>
    <line class="reach" ...${line} />
    ${chosen && html`<line class="halo" ...${line} stroke-width=${thickness(link) + 8} />`}
    <line class="line" ...${line} stroke-width=${thickness(link)} />
  </g>`;
};

/** The faults of a link in words, or as one character where there is no room; above all lines. */
const Mark = ({ link, at, labelled, choose }) => {
  const [a, b] = link.ends.map((name) => at.get(name));
  const kind = look(link.faults);
  if (!a || !b || kind === 'whole') return null;
  // Not in the middle, where many links meet.
  const [x, y] = [a.x + (b.x - a.x) * 0.6, a.y + (b.y - a.y) * 0.6];
  const text = labelled ? link.faults.join(', ') : '';
  return html`<g class=${`link ${kind}`} onClick=${choose}><g class="mark" transform=${`translate(${x} ${y})`}>
    <title>${linkWords(link)}</title>
    ${text
      ? html`<rect x=${-text.length * 3.5 - 7} y="-10" width=${text.length * 7 + 14} height="20" rx="10" />
          <text y="4" text-anchor="middle">${text}</text>`
      : html`<circle r="8" /><text y="4" text-anchor="middle">${{ cut: '✕', slow: '~', wrong: '!' }[kind]}</text>`}
  </g></g>`;
};

const Outcomes = ({ node, below }) => {
  const { answered, offline, timeout } = node.counts;
  const parts = [['good', '✓', answered], ['bad', '⊘', offline], ['warn', '◷', timeout]].filter(([, , value]) => value);
  return parts.map(([name, mark, value], index) =>
    html`<tspan class=${name} ...${index && (below === null ? { dx: 6 } : { x: below, dy: 14 })}>${mark} ${brief(value)}</tspan>`);
};

const Node = ({ node, at, chosen, choose, begin, narrow, crowded }) => {
  const side = Math.abs(at.cosine) < (crowded ? 0.15 : 0.3) ? 'middle' : at.cosine > 0 ? 'start' : 'end';
  const x = side === 'middle' ? 0 : 24 * Math.sign(at.cosine);
  const y = side === 'middle' ? (at.sine > 0 ? 36 : -38) : -3;
  const most = side === 'middle' ? (crowded ? 13 : 20) : narrow ? 10 : 16;
  const name = node.name.length > most ? `${node.name.slice(0, most - 1)}…` : node.name;
  const room = Math.max(48, 8 * name.length);
  const reach = side === 'middle'
    ? { x: -room / 2, y: Math.min(-18, y - 14), width: room, height: 76 }
    : { x: side === 'start' ? -18 : -24 - room, y: -18, width: room + 42, height: 40 };
  return html`<g class=${`node ${node.state} ${chosen ? 'chosen' : ''} ${node.faults.length ? 'faulty' : ''}`}
      transform=${`translate(${at.x} ${at.y})`} data-node=${node.name}>
    <g class="press" role="button" tabindex="0" aria-pressed=${chosen} aria-label=${nodeWords(node)}
        onClick=${choose} onKeyDown=${onKey(choose)} onPointerDown=${begin}>
      <title>${nodeWords(node)}</title>
      <rect class="reach" ...${reach} />
      ${chosen && html`<circle class="halo" r="22" />`}
      <circle class="disc" r=${narrow && crowded ? 12 : 16} />
    </g>
    <g class="words" aria-hidden="true">
      <text class="state" y="5" text-anchor="middle">${MARKS[node.state] ?? '?'}</text>
      ${node.faults.length > 0 && html`<text class="flag" x="10" y="-10">!</text>`}
      <text class="name" x=${x} y=${y} text-anchor=${side}>${name}</text>
      <text class="outcomes" x=${x} y=${y + 16} text-anchor=${side}>
        <${Outcomes} node=${node} below=${narrow && side !== 'middle' ? x : null} />
      </text>
    </g>
  </g>`;
};

/** `choose` is given what is chosen: {node} or {link: [a, b]}; `join` the ends of a line that was drawn. */
export const Picture = ({ snapshot, chosen, choose, join }) => {
  const svg = useRef(null);
  const [width, setWidth] = useState(0);
  const from = useRef(null); // where a line begins: known at once, before anything is drawn again
  const [tip, setTip] = useState(null);
  useEffect(() => {
    const watcher = new ResizeObserver(([entry]) => setWidth(Math.round(entry.contentRect.width)));
    watcher.observe(svg.current.parentElement);
    return () => watcher.disconnect();
  }, []);
  const narrow = width < 560;
  const crowded = snapshot.nodes.length > MANY;
  const wanted = narrow ? Math.max(340, width * (crowded ? 1.4 : 0.95)) : Math.min(560, width * 0.62);
  const height = Math.round(Math.min(wanted, Math.max(crowded ? 480 : 340, window.innerHeight - 160)));
  const at = places(snapshot.nodes, width || 600, height || 372);
  const labelled = !(narrow && crowded) && snapshot.links.filter((link) => link.faults.length).length <= MOST_LABELS;

  const point = (event) => {
    const box = svg.current.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const nodeAt = (event) =>
    document.elementFromPoint(event.clientX, event.clientY)?.closest?.('[data-node]')?.getAttribute('data-node');
  const begin = (name) => (event) => {
    if (event.button !== 0 || event.pointerType === 'touch') return;
    from.current = name;
    event.preventDefault();
    event.currentTarget.focus();
  };
  const move = (event) => from.current && setTip(point(event));
  const stop = () => {
    from.current = null;
    setTip(null);
  };
  const end = (event) => {
    const [name, other] = [from.current, nodeAt(event)];
    stop();
    if (name && other && other !== name) join([name, other].sort());
  };

  return html`<div class="picture">
    <svg ref=${svg} width=${width} height=${height} viewBox=${`0 0 ${width || 600} ${height || 372}`} role="group"
        aria-label="The network; the tables of nodes and links say the same"
        onPointerMove=${move} onPointerUp=${end} onPointerLeave=${stop}>
      ${snapshot.links.map((link) => html`<${Link} key=${key(link.ends)} link=${link} at=${at}
        chosen=${chosen?.link && key(chosen.link) === key(link.ends)} choose=${() => choose({ link: link.ends })} />`)}
      ${snapshot.links.map((link) => html`<${Mark} key=${key(link.ends)} link=${link} at=${at} labelled=${labelled} choose=${() => choose({ link: link.ends })} />`)}
      ${tip && from.current && html`<line class="drawn" x1=${at.get(from.current)?.x} y1=${at.get(from.current)?.y} x2=${tip.x} y2=${tip.y} />`}
      ${snapshot.nodes.map((node) => html`<${Node} key=${node.name} node=${node} at=${at.get(node.name)} narrow=${narrow} crowded=${crowded}
        chosen=${chosen?.node === node.name} choose=${() => choose({ node: node.name })} begin=${begin(node.name)} />`)}
    </svg>
    <p class="legend quiet small" aria-hidden="true">
      <span><svg width="34" height="10" class="link cut"><line class="line" x1="0" y1="5" x2="34" y2="5" stroke-width="3" /></svg>cut</span>
      <span><svg width="34" height="10" class="link slow"><line class="line" x1="0" y1="5" x2="34" y2="5" stroke-width="3" /></svg>slow</span>
      <span><svg width="34" height="10" class="link wrong"><line class="line" x1="0" y1="5" x2="34" y2="5" stroke-width="3" /></svg>wrong bytes, resets</span>
      <span><b class="good">✓</b> answered</span><span><b class="bad">⊘</b> Offline</span><span><b class="warn">◷</b> Timeout</span>
      <span class="mouse">Draw from one node to another to break their link.</span>
    </p>
  </div>`;
};
