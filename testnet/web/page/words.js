// Figures for people, and what faults look like.

export const size = (bytes) => {
  if (bytes == null) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  for (; bytes >= 1024 && unit < units.length - 1; unit++) bytes /= 1024;
  return `${unit && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
};

export const rate = (bytes) => (bytes == null ? '–' : `${size(bytes)}/s`);

export const count = (value) => {
  if (value == null) return '–';
  return value >= 10_000 ? `${(value / 1000).toFixed(value >= 100_000 ? 0 : 1)}k` : String(value);
};

/** A count where there is little room. */
export const brief = (value) => (value < 1000 ? String(value) : value < 10_000 ? `${(value / 1000).toFixed(1)}k` : count(value));

export const duration = (seconds) => {
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};

export const since = (node) => `${node.at_least ? 'at least ' : ''}${duration(node.seconds_in_state)}`;

const LOOKS = {
  cut: ['partition', 'black_hole', 'loss', 'no_route', 'refusal', 'stall'],
  slow: ['latency', 'bandwidth', 'slow_handshake'],
};

/** What a link with these faults looks like: cut, slow, wrong (or of a user's own), or whole. */
export const look = (faults) => {
  if (!faults.length) return 'whole';
  for (const [name, kinds] of Object.entries(LOOKS)) if (faults.some((each) => kinds.includes(each))) return name;
  return 'wrong';
};

export const plural = (number, one, many) => `${number} ${number === 1 ? one : many}`;

export const key = (ends) => ends.join(' ⇄ ');

/** The parts of a text, those between backquotes as code. */
export const spans = (html, text) =>
  text.split('`').map((part, index) => (index % 2 ? html`<code>${part}</code>` : part));
