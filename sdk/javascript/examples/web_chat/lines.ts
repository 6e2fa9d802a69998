/**
 * The lines of a chat, ours and those of other nodes, in the order in which they came: the last `maxLines` of them. They are
 * saved with every change, and are there after a restart.
 */

import { State } from "nectar";

/** Sent: on its way. Offline: it did not get there. Timeout: nobody knows whether it did. Refused: it is not wanted there. */
export type Fate = "Sent" | "Heard" | "Offline" | "Timeout" | "Refused";

export interface Line {
  /** Its number among all lines here. */
  id: number;
  /** Whom we talk to: who said it or, if it is ours, for whom it is. */
  node: string;
  mine: boolean;
  /** Its number among all lines of its author. */
  number: number;
  text: string;
  state: Fate;
}

interface Saved {
  lines: Line[];
  /** The id of the last line. */
  last: number;
  /** The number of our own last one. */
  said: number;
}

const maxLines = 200;

const kept = new State<Saved>({ initial: { lines: [], last: 0, said: 0 } });

export const all = (): Line[] => kept.value.lines;

export const find = (id: number): Line | undefined => all().find((line) => line.id === id);

/** Whether a line of another node is here. */
export function has(node: string, number: number): boolean {
  return all().some((line) => !line.mine && line.number === number && line.node === node);
}

/** Keep a line of ours, under its next number, or one of another node. */
export function add(line: { node: string; text: string; number?: number }): Line {
  return kept.update((value) => {
    const mine = line.number === undefined;
    const number = line.number ?? (value.said += 1);
    const added: Line = { id: (value.last += 1), node: line.node, mine, number, text: line.text, state: mine ? "Sent" : "Heard" };
    value.lines.push(added);
    if (value.lines.length > maxLines) value.lines.shift();
    return added;
  });
}

export function change(line: Line, state: Fate): void {
  kept.update(() => (line.state = state));
}
