/** Names of processes: on which node, and which of its processes. */

/** A process of some node: its own name, its package's, and its publisher's. */
export class ProcessId {
  constructor(
    readonly process: string,
    readonly package_: string,
    readonly publisher: string,
  ) {}

  /** Read "timer:distro:sys". Throws TypeError if that is no id. */
  static parse(text: string): ProcessId {
    const parts = text.split(":");
    if (parts.length !== 3 || parts.includes("")) throw new TypeError(`"${text}" is not a process's id, such as timer:distro:sys`);
    return new ProcessId(parts[0]!, parts[1]!, parts[2]!);
  }

  equals(other: ProcessId): boolean {
    return this.process === other.process && this.samePackage(other);
  }

  samePackage(other: ProcessId): boolean {
    return this.package_ === other.package_ && this.publisher === other.publisher;
  }

  toString(): string {
    return `${this.process}:${this.package_}:${this.publisher}`;
  }

  toJSON(): string {
    return this.toString();
  }
}

/** A process on a node. The node "our" is the one that this process runs on. */
export class Address {
  constructor(
    readonly node: string,
    readonly process: ProcessId,
  ) {}

  /** Read "one.nec@hello:hello:sys", or "hello:hello:sys" for one of our own node. Throws TypeError if it is neither. */
  static parse(text: string): Address {
    const at = text.indexOf("@");
    if (at === 0) throw new TypeError(`"${text}" is not an address, such as one.nec@hello:hello:sys`);
    return new Address(at < 0 ? "our" : text.slice(0, at), ProcessId.parse(text.slice(at + 1)));
  }

  equals(other: Address): boolean {
    return this.node === other.node && this.process.equals(other.process);
  }

  toString(): string {
    return `${this.node}@${this.process}`;
  }

  toJSON(): string {
    return this.toString();
  }
}

/** Whom to send to: an address, its text, or a process of our own node. */
export type Target = Address | ProcessId | string;

export function addressOf(target: Target): Address {
  if (target instanceof Address) return target;
  return target instanceof ProcessId ? new Address("our", target) : Address.parse(target);
}
