// A folder as one file: a zip without compression (APPNOTE 6.3.10), since the node is near.

const TABLE = Uint32Array.from({ length: 256 }, (_, number) => {
  for (let bit = 0; bit < 8; bit += 1) number = number & 1 ? (number >>> 1) ^ 0xedb88320 : number >>> 1;
  return number;
});

export function crc32(bytes) {
  let sum = 0xffffffff;
  for (const each of bytes) sum = TABLE[(sum ^ each) & 255] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}

// `files`: [{path, file}]. Names are UTF-8 (general purpose bit 11); no file is as large as 4 GiB.
export async function zip(files) {
  const parts = [];
  const list = [];
  let at = 0;
  for (const { path, file } of files) {
    const data = new Uint8Array(await file.arrayBuffer());
    const name = new TextEncoder().encode(path);
    const common = [20, 0x0800, 0, 0, 0x21, [crc32(data)], [data.length], [data.length], name.length, 0];
    parts.push(record(0x04034b50, common), name, data);
    list.push(record(0x02014b50, [20, ...common, 0, 0, 0, [0], [at]]), name);
    at += 30 + name.length + data.length;
  }
  const length = list.reduce((sum, each) => sum + each.length, 0);
  const end = record(0x06054b50, [0, 0, files.length, files.length, [length], [at], 0]);
  return new Blob([...parts, ...list, end], { type: 'application/zip' });
}

// Numbers of two bytes, or of four where they stand in a list, after the record's signature.
function record(signature, numbers) {
  const bytes = [];
  for (const each of [[signature], ...numbers]) {
    const [number, width] = Array.isArray(each) ? [each[0], 4] : [each, 2];
    for (let shift = 0; shift < width; shift += 1) bytes.push(Math.floor(number / 256 ** shift) & 255);
  }
  return Uint8Array.from(bytes);
}

// The files below the folder that all of them share, without what editors and systems hide there.
export function packageFiles(files) {
  const parts = files[0].path.split('/');
  const root = parts.length > 1 && files.every(({ path }) => path.startsWith(`${parts[0]}/`)) ? `${parts[0]}/` : '';
  const inside = files.map(({ file, path }) => ({ file, path: path.slice(root.length) }));
  const pkg = inside.filter(({ path }) => path.startsWith('pkg/'));
  const kept = inside.some(({ path }) => path === 'manifest.json') || !pkg.length ? inside : pkg;
  return { name: root.slice(0, -1) || 'package', files: kept.filter(({ path }) => !path.split('/').some((part) => part.startsWith('.'))) };
}
