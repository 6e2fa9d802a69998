/** Files in the drives of packages. The process needs the capability to message `vfs:distro:sys`. Errors are `Err`s. */

import * as json from "./json.ts";
import { Err } from "./errors.ts";
import { addRoute, ask, our, request } from "./node.ts";

const address = "vfs:distro:sys";
const seconds = 60;

/** What is at a path. */
export type FileType = "File" | "Directory" | "Symlink" | "Other";

/** One of a folder. Its path has no slash in front. */
export interface Entry {
  path: string;
  file_type: FileType;
}

/** What is known of a file or folder. */
export interface Metadata {
  file_type: FileType;
  /** Bytes. */
  len: number;
  /** Seconds since 1970. */
  modified: number;
}

/** The path of a drive of our package: `/package:publisher/name`. */
export function drivePath(name: string): string {
  const { package_, publisher } = our.process;
  return `/${package_}:${publisher}/${name}`;
}

/** Do any action that the vfs knows, and return its answer. */
export function act(path: string, action: unknown, bytes?: Uint8Array): Promise<any> {
  return ask(address, { path, action }, { timeout: seconds, blob: bytes && { bytes } });
}

async function load(path: string, action: unknown): Promise<Uint8Array> {
  const response = await request(address, { path, action }, { timeout: seconds });
  const bytes = response.blob()?.bytes;
  const [name, reason] = json.variant(response.json());
  if (name === "Err") throw new Err(reason);
  return bytes ?? new Uint8Array(0);
}

async function field(path: string, action: unknown, name: string): Promise<any> {
  const [found, value] = json.variant(await act(path, action));
  if (found !== name) throw new Err(`vfs has answered with ${found} and not ${name}`);
  return value;
}

/** Make a drive of our package, if it is not there, and return its path. */
export async function createDrive(name: string): Promise<string> {
  const path = drivePath(name);
  await act(path, "CreateDrive");
  return path;
}

/** Make a folder and those above it, unless they are there. */
export const createDir = (path: string): Promise<void> => act(path, "CreateDirAll");
/** A whole file. */
export const read = (path: string): Promise<Uint8Array> => load(path, "Read");
/** Bytes of a file from `offset` on, fewer at its end. */
export const readAt = (path: string, offset: number, length: number): Promise<Uint8Array> => load(path, { ReadAt: { offset, length } });
/** A whole file that is UTF-8; throws TypeError if it is not. */
export const readText = async (path: string): Promise<string> => new TextDecoder("utf-8", { fatal: true }).decode(await read(path));
/** Make a file or replace it, at once. */
export const write = (path: string, content: Uint8Array | string): Promise<void> => act(path, "Write", bytes(content));
/** Write into a file that is there, from `offset` on. */
export const writeAt = (path: string, offset: number, content: Uint8Array | string): Promise<void> => act(path, { WriteAt: { offset } }, bytes(content));
/** Write at the end of a file that is there. */
export const append = (path: string, content: Uint8Array | string): Promise<void> => act(path, "Append", bytes(content));
/** Have all that was written reach the disk. */
export const sync = (path: string): Promise<void> => act(path, "SyncAll");
/** Cut a file off, or fill it up with zeros. */
export const setLength = (path: string, length: number): Promise<void> => act(path, { SetLen: length });
/** Give a file or folder another path. */
export const rename = (path: string, newPath: string): Promise<void> => act(path, { Rename: { new_path: newPath } });
/** Copy a file. */
export const copy = (path: string, newPath: string): Promise<void> => act(path, { CopyFile: { new_path: newPath } });
/** Remove a file. */
export const remove = (path: string): Promise<void> => act(path, "RemoveFile");
/** Remove a folder with all that is in it. */
export const removeDir = (path: string): Promise<void> => act(path, "RemoveDirAll");
/** What is known of a file or folder. */
export const metadata = (path: string): Promise<Metadata> => field(path, "Metadata", "Metadata");
/** Bytes that files at a path may still grow by. */
export const freeSpace = (path: string): Promise<number> => field(path, "FreeSpace", "FreeSpace");
/** The BLAKE3 hash of a file. */
export const hash = async (path: string): Promise<Uint8Array> => Uint8Array.from(await field(path, "Hash", "Hash"));

/** Whether there is a file or folder. */
export async function exists(path: string): Promise<boolean> {
  try {
    await metadata(path);
    return true;
  } catch (error) {
    if (error instanceof Err && json.variant(error.reason)[0] === "NotFound") return false;
    throw error;
  }
}

/** All that is in a folder, however large, page by page. */
export async function* list(path: string): AsyncGenerator<Entry> {
  for (let after = ""; ; ) {
    const page: Entry[] = await field(path, { ReadDir: { after, limit: 1000 } }, "ReadDir");
    if (page.length === 0) return;
    yield* page;
    const last = page.at(-1)!.path;
    after = last.slice(last.lastIndexOf("/") + 1);
  }
}

const watchers = new Map<string, (changes: string[], more: boolean) => unknown>();

/** Be told when something may have changed at a path, below it or above it; `more`: also elsewhere. */
export async function watch(path: string, changed: (changes: string[], more: boolean) => unknown): Promise<void> {
  if (watchers.size === 0) {
    addRoute((told) => {
      if (told.source.node !== our.node || told.source.process.toString() !== address) return undefined;
      return async (message) => {
        const [name, { path: watched, changes, more }] = json.variant(message.json());
        if (name === "Unwatched") watchers.delete(watched);
        else await watchers.get(watched)?.(changes, more);
        return "Ok";
      };
    });
  }
  watchers.set(path, changed);
  await act(path, "Watch");
}

/** Be told no longer. */
export async function unwatch(path: string): Promise<void> {
  watchers.delete(path);
  await act(path, "Unwatch");
}

function bytes(content: Uint8Array | string): Uint8Array {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}
