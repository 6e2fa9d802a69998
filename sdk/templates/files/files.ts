/**
 * Notes as files, which other nodes may read.
 *
 *     {"Write": {"name": "a", "text": "x"}}  →  "Written"      on this node alone; it is on the disk then
 *     {"Read": "a"}  →  {"Text": "x"} or "Missing"             from any node
 */

import { Err, json, onRequest, our, vfs } from "nectar";

/** Of a note. What others say is no path: it could lead anywhere. */
const pattern = /^[A-Za-z0-9_-]{1,100}$/;

async function path(name: string): Promise<string> {
  if (!pattern.test(name)) throw new Err("a name is letters, digits, - and _");
  return `${await vfs.createDrive("notes")}/${name}.txt`;
}

onRequest(async (asked) => {
  const [name, value] = json.variant(asked.json());
  if (name === "Write" && typeof value?.name === "string" && typeof value.text === "string") {
    if (asked.source.node !== our.node) throw new Err("only this node may write");
    const note = await path(value.name);
    await vfs.write(note, value.text);
    await vfs.sync(note);
    return "Written";
  }
  if (name === "Read" && typeof value === "string") {
    const note = await path(value);
    return (await vfs.exists(note)) ? { Text: await vfs.readText(note) } : "Missing";
  }
  throw new Err("not a Write or a Read");
});
