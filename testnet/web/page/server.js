// What the server sends and takes.

/** The answer to a request; raises an error with a sentence, and the field that it is about, if it is one. */
const ask = async (path, options) => {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error('The server does not answer: does `nectar testnet watch --web` still run?');
  }
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  const error = new Error(told.error?.sentence ?? `The server has answered ${answer.status}.`);
  error.field = told.error?.field;
  throw error;
};

export const lookUp = (name) => ask(`/api/${name}`);

export const order = (name, asked = {}) =>
  ask(`/api/${name}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(asked) });

/** Follow the snapshots; `take` is given the name of each event and its value, `live` whether they come. */
export const follow = (take, live) => {
  const source = new EventSource('/api/events');
  for (const name of ['look', 'chaos']) {
    source.addEventListener(name, (event) => {
      live(true);
      take(name, JSON.parse(event.data));
    });
  }
  source.addEventListener('error', () => live(false));
  return () => source.close();
};
