// What the page asks its node for: commands, streams of events, and files that go there.

const PIECE = 4 << 20;

export class Refused extends Error {
  constructor(kind, sentence) {
    super(sentence);
    this.kind = kind;
  }
}

const GONE = 'The node does not answer: it may have stopped. Start it again with `nectar boot`.';

async function taken(asked) {
  let answer;
  try {
    answer = await asked;
  } catch {
    throw new Refused('Gone', GONE);
  }
  let told;
  try {
    told = await answer.json();
  } catch {
    throw new Refused('Gone', `The node has answered ${answer.status}, and nothing that this page understands.`);
  }
  if (told.error) {
    if (told.error.kind === 'NotSignedIn') dispatchEvent(new Event('signed-out'));
    throw new Refused(told.error.kind, told.error.sentence);
  }
  return told.ok;
}

export function ask(command, fields = {}) {
  const body = JSON.stringify(fields);
  return taken(fetch(`/api/${command}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body }));
}

// Give a file to the node, in pieces; `told` hears how many bytes are there. Returns what the node calls it.
export async function upload(file, name, told = () => {}, signal = undefined) {
  const { upload } = await ask('upload', { name, size: file.size });
  let there = 0;
  let failed = 0;
  while (there < file.size) {
    const body = file.slice(there, there + PIECE);
    const where = `/api/upload_data?upload=${upload}&offset=${there}`;
    try {
      there = (await taken(fetch(where, { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body, signal }))).bytes;
      failed = 0;
    } catch (error) {
      if (signal?.aborted) ask('discard_upload', { upload }).catch(() => {});
      failed += 1;
      if (error.kind !== 'Gone' || signal?.aborted || failed > 5) throw error;
      await new Promise((go) => setTimeout(go, 500 * failed));
    }
    told(there);
  }
  return upload;
}

// Follow a command's events until `stop` is called; begins again by itself. `state`: live, gone or signed-out.
export function follow(command, fields, heard, state = () => {}) {
  let stopped = false;
  let pause = 500;
  let current = null;
  let timer = null;

  async function once() {
    current = new AbortController();
    const answer = await fetch(`/api/${command}?${new URLSearchParams(fields())}`, { signal: current.signal });
    if (answer.status === 401) return 'signed-out';
    if (!answer.ok) return 'gone';
    state('live');
    pause = 500;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return 'gone';
      const parts = (rest + value).split('\n\n');
      rest = parts.pop();
      for (const part of parts) {
        if (part.startsWith('event: signed-out')) return 'signed-out';
        const data = part.split('\n').find((line) => line.startsWith('data: '));
        const event = data && JSON.parse(data.slice(6)).event;
        if (event && !stopped) heard(event);
      }
    }
  }

  async function go() {
    let ended;
    try {
      ended = await once();
    } catch {
      ended = 'gone';
    }
    if (stopped) return;
    if (ended === 'signed-out') dispatchEvent(new Event('signed-out'));
    state(ended);
    if (ended === 'gone') {
      timer = setTimeout(go, pause);
      pause = Math.min(2 * pause, 5000);
    }
  }

  go();
  return () => {
    stopped = true;
    clearTimeout(timer);
    current?.abort();
  };
}
