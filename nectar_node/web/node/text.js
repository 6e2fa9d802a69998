// How figures, times and the texts of strangers are shown.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function size(bytes) {
  if (bytes == null) return '–';
  let unit = 0;
  while (bytes >= 1024 && unit < UNITS.length - 1) {
    bytes /= 1024;
    unit += 1;
  }
  return `${unit && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${UNITS[unit]}`;
}

export function duration(seconds) {
  if (seconds == null) return '–';
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString('en')} ${number === 1 ? one : many}`;
export const percent = (share) => (share == null ? '–' : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}%`);
export const rate = (each) => (each == null ? '–' : each < 10 ? each.toFixed(1) : Math.round(each).toLocaleString('en'));

export function clock(iso) {
  const when = new Date(iso);
  return Number.isNaN(when.getTime()) ? '–' : when.toLocaleTimeString();
}

// What somebody else wrote: as one line, cut, and without characters that would turn or hide what stands around it.
export function shown(text, most = 300) {
  const cut = String(text ?? '').slice(0, most + 1);
  const plain = cut.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\u2028\u2029]/gu, (each) => `\\u{${each.codePointAt(0).toString(16)}}`);
  return cut.length > most ? `${plain}…` : plain;
}

// An address without the name of this node.
export const near = (address, our) => (address.startsWith(`${our}@`) ? address.slice(our.length + 1) : address);
export const packageOf = (process) => process.split('@').pop().split(':').slice(1).join(':');

// A part of an address, which somebody may have mistyped.
export function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
