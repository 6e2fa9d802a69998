/**
 * The entries of a store, ordered by version: what changed last comes last. So whatever a replica that has version n still
 * lacks is a tail of the list, and applying a tail in order leaves the same list.
 */

import { Err } from "nectar";

export interface Entry {
  key: string;
  value: string;
  version: number;
}

const maxEntries = 256;
const maxKeyBytes = 100;
const maxValueBytes = 1000;

/** Of the last change; 0: there was none. */
export function version(entries: Entry[]): number {
  return entries.at(-1)?.version ?? 0;
}

/** What changed after `since`, in order. */
export function after(entries: Entry[], since: number): Entry[] {
  return entries.filter((entry) => entry.version > since);
}

export function find(entries: Entry[], key: string): Entry | undefined {
  return entries.find((entry) => entry.key === key);
}

/** Throws Err if the two cannot be put. */
export function check(entries: Entry[], key: string, value: string): void {
  const keyBytes = bytesIn(key);
  if (keyBytes === 0 || keyBytes > maxKeyBytes) throw new Err("a key has 1 to 100 bytes");
  if (bytesIn(value) > maxValueBytes) throw new Err("a value has at most 1,000 bytes");
  if (entries.length >= maxEntries && !find(entries, key)) throw new Err("the store is full: it has 256 keys");
}

export function fits(entries: Entry[], key: string, value: string): boolean {
  try {
    check(entries, key, value);
    return true;
  } catch {
    return false;
  }
}

/** Put an entry, whose version must be higher than all others. */
export function put(entries: Entry[], entry: Entry): void {
  const place = entries.findIndex(({ key }) => key === entry.key);
  if (place >= 0) entries.splice(place, 1);
  entries.push(entry);
}

function bytesIn(text: string): number {
  return new TextEncoder().encode(text).length;
}
