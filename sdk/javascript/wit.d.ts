declare module 'nectar:process/standard@0.7.0' {
  export function printToTerminal(verbosity: number, message: string): void;
  export function setOnExit(onExit: OnExit): void;
  export function getOnExit(): OnExit;
  export function getState(): Uint8Array | undefined;
  export function setState(bytes: Uint8Array): void;
  export function clearState(): void;
  export function spawn(name: string | undefined, wasmPath: string, onExit: OnExit, requestCapabilities: Array<Capability>, grantCapabilities: Array<ProcessId>, public_: boolean): ProcessId;
  export function saveCapabilities(caps: Array<Capability>): void;
  export function dropCapabilities(caps: Array<Capability>): void;
  export function ourCapabilities(): Array<Capability>;
  export function receive(): [Address, Message];
  export function getBlob(): LazyLoadBlob | undefined;
  export function sendRequest(target: Address, request: Request, context: Context | undefined, lazyLoadBlob: LazyLoadBlob | undefined): void;
  export function sendRequests(requests: Array<[Address, Request, Context | undefined, LazyLoadBlob | undefined]>): void;
  export function sendResponse(response: Response, lazyLoadBlob: LazyLoadBlob | undefined): void;
  export function sendAndAwaitResponse(target: Address, request: Request, lazyLoadBlob: LazyLoadBlob | undefined): [Address, Message];
  /**
   * JSON crosses the Wasm boundary as text.
   */
  export type Json = string;
  /**
   * A node's name, such as `some-user.nec`.
   */
  export type NodeId = string;
  /**
   * Bytes that the requester wants back together with the response.
   */
  export type Context = Uint8Array;
  export interface ProcessId {
    processName: string,
    packageName: string,
    publisherNode: NodeId,
  }
  export interface Address {
    node: NodeId,
    process: ProcessId,
  }
  /**
   * Bytes that enter a process only when it calls `get-blob`.
   */
  export interface LazyLoadBlob {
    mime?: string,
    bytes: Uint8Array,
  }
  export interface Capability {
    issuer: Address,
    params: Json,
  }
  export interface Request {
    inherit: boolean,
    /**
     * Seconds until the requester gets a timeout error; none: no response is wanted.
     */
    expectsResponse?: bigint,
    body: Uint8Array,
    metadata?: Json,
    capabilities: Array<Capability>,
  }
  export interface Response {
    inherit: boolean,
    body: Uint8Array,
    metadata?: Json,
    capabilities: Array<Capability>,
  }
  export type Message = MessageRequest | MessageResponse;
  export interface MessageRequest {
    tag: 'request',
    val: Request,
  }
  export interface MessageResponse {
    tag: 'response',
    val: [Response, Context | undefined],
  }
  /**
   * What happens when the process returns or traps.
   */
  export type OnExit = OnExitNone | OnExitRestart | OnExitRequests;
  export interface OnExitNone {
    tag: 'none',
  }
  export interface OnExitRestart {
    tag: 'restart',
  }
  export interface OnExitRequests {
    tag: 'requests',
    val: Array<[Address, Request, LazyLoadBlob | undefined]>,
  }
  /**
   * # Variants
   * 
   * ## `"offline"`
   * 
   * ## `"timeout"`
   */
  export type SendErrorKind = 'offline' | 'timeout';
  /**
   * A message that could not be delivered or was not answered in time.
   */
  export interface SendError {
    kind: SendErrorKind,
    message: Message,
    lazyLoadBlob?: LazyLoadBlob,
  }
  /**
   * # Variants
   * 
   * ## `"name-taken"`
   * 
   * ## `"no-file-at-path"`
   */
  export type SpawnError = 'name-taken' | 'no-file-at-path';
}
