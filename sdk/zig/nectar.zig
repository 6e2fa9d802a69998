//! Write Nectar processes in Zig.
//!
//!     const nectar = @import("nectar");
//!
//!     pub fn init(_: nectar.Address) !void {
//!         while (true) switch (nectar.receive()) {
//!             .request => |request| nectar.respond(.{ .body = request.body }),
//!             .response, .send_error => {},
//!         };
//!     }
//!
//! **Memory.** Whatever this module returns (addresses, bodies, contexts, blobs, parsed JSON, formatted text) lives
//! until the next `receive`. Copy what must live longer with `allocator`. A loop that never calls `receive` calls
//! `reset`.
//!
//! **The message being handled.** The kernel remembers for each process which request it would answer (its prompt)
//! and whose blob it would pass on. Receiving a request that wants an answer sets the prompt; receiving a response or
//! an error puts back the prompt under which that request was sent. So `respond` in the handler of a response answers
//! the request that caused it.
//!
//! An error returned from `init`, or a panic, is printed and traps; the process's on-exit setting then applies.

const std = @import("std");
const abi = @import("abi.zig");
const convert = @import("convert.zig");
const memory = @import("memory.zig");
const names = @import("address.zig");
const databases = @import("databases.zig");

pub const http = @import("http.zig");
pub const http_client = @import("http_client.zig");
pub const json = @import("json.zig");
/// A database of keys and values: `kv:distro:sys`. Of what fails the node's log says why.
pub const Kv = databases.Kv;
/// A database for SQL: `sqlite:distro:sys`. Of what fails the node's log says why.
pub const Sqlite = databases.Sqlite;
/// What stands for a `?` in SQL.
pub const SqlValue = databases.Value;
pub const time = @import("time.zig");
pub const random = @import("random.zig");
pub const vfs = @import("vfs.zig");
/// State with a version.
pub const State = @import("state.zig").State;
/// `process:package:publisher` on a node.
pub const Address = names.Address;
/// What a process is called on its node.
pub const ProcessId = names.ProcessId;

/// For what outlives a message.
pub const allocator = memory.lasting;
/// For what is needed only while the current message is handled.
pub const arena = memory.arena;
/// Free all that was returned since the last `receive`, as the next `receive` would.
pub const reset = memory.reset;

/// Bytes that enter a process only if it calls `getBlob`.
pub const Blob = struct { mime: ?[]const u8 = null, bytes: []const u8 };

/// The right to do what `params`, a JSON text, say.
pub const Capability = struct { issuer: Address, params: []const u8 };

/// A request that has arrived.
pub const Request = struct {
    /// On another node, only `source.node` is proven; the process is that node's claim.
    source: Address,
    inherit: bool,
    /// Seconds that the requester waits for an answer; null: it wants none.
    expects_response: ?u64,
    body: []const u8,
    metadata: ?[]const u8,
    capabilities: []const Capability,

    /// Whether somebody may wait for our answer. While handling a request that wants none, `respond` would answer an
    /// older one.
    pub fn wantsAnswer(self: Request) bool {
        return self.expects_response != null or self.inherit;
    }
};

/// A response to a request of ours.
pub const Response = struct {
    source: Address,
    inherit: bool,
    body: []const u8,
    metadata: ?[]const u8,
    capabilities: []const Capability,
    /// What the request was sent with.
    context: ?[]const u8,
};

/// Offline: the other node, or the process, cannot be reached. Timeout: no answer in time; nobody knows whether it was
/// done.
pub const SendErrorKind = abi.SendErrorKind;

/// A message of ours that could not be delivered or was not answered in time.
pub const SendError = struct {
    kind: SendErrorKind,
    /// Whether it was a request; else a response.
    of_request: bool,
    body: []const u8,
    blob: ?Blob,
    /// What the request was sent with.
    context: ?[]const u8,
};

/// What has arrived.
pub const Event = union(enum) { request: Request, response: Response, send_error: SendError };

/// What to send with `send`.
pub const Outgoing = struct {
    target: Address,
    body: []const u8 = "",
    /// Seconds until a timeout; null: no answer is wanted.
    expects_response: ?u64 = null,
    /// Pass on the current blob (unless `blob` is set) and, if no answer is expected, the current prompt: then the
    /// answer goes to whoever waits for ours.
    inherit: bool = false,
    /// Comes back with the outcome; never leaves this node.
    context: ?[]const u8 = null,
    /// JSON text.
    metadata: ?[]const u8 = null,
    capabilities: []const Capability = &.{},
    blob: ?Blob = null,
};

/// What to answer with `respond`.
pub const Reply = struct {
    body: []const u8 = "",
    /// Pass on the current blob, unless `blob` is set.
    inherit: bool = false,
    metadata: ?[]const u8 = null,
    capabilities: []const Capability = &.{},
    blob: ?Blob = null,
};

/// What came of a request.
pub const Awaited = union(enum) { response: Response, send_error: SendError };

/// What is sent when this process ends.
pub const OnExitRequest = struct { target: Address, body: []const u8, inherit: bool = false, blob: ?Blob = null };

/// What happens when this process returns or traps.
pub const OnExit = union(enum) { none, restart, requests: []const OnExitRequest };

/// What to start with `spawn`.
pub const Spawn = struct {
    /// null: a random number.
    name: ?[]const u8 = null,
    /// A file of our package, such as "/worker.wasm".
    wasm_path: []const u8,
    on_exit: OnExit = .none,
    request_capabilities: []const Capability = &.{},
    /// Processes that may message the child.
    grant_capabilities: []const ProcessId = &.{},
    /// Whether every process of this node may message the child.
    public: bool = false,
};

/// A child of that name is there, or the package has no such file.
pub const SpawnError = error{ NameTaken, NoFileAtPath };

/// Wait for the next message. Frees everything that belonged to the one before.
pub fn receive() Event {
    memory.reset();
    var result: abi.Received = undefined;
    abi.receive(&result);
    memory.own(&result);
    return switch (result.tag) {
        .ok => convert.event(result.value.ok),
        .err => .{ .send_error = convert.fromSendError(result.value.err.err, result.value.err.context) },
    };
}

/// Send a request. Its outcome, if one is expected, arrives with `receive`.
pub fn send(request: Outgoing) void {
    const params = convert.outgoing(request);
    abi.sendRequest(&params);
}

/// Send several requests with one call.
pub fn sendAll(requests: []const Outgoing) void {
    const params = convert.alloc(abi.SendRequest, requests.len);
    for (params, requests) |*param, request| param.* = convert.outgoing(request);
    abi.sendRequests(params.ptr, params.len);
}

/// Send a request and wait for its outcome, while all other messages queue up. `request.expects_response` must be
/// set; a context is not needed. Its result lives until the next `receive` or `reset`.
pub fn sendAndAwait(request: Outgoing) Awaited {
    const params: abi.SendAndAwait = .{
        .target = convert.toAddress(request.target),
        .request = convert.toRequest(request),
        .blob = convert.toBlob(request.blob),
    };
    var result: abi.Awaited = undefined;
    abi.sendAndAwaitResponse(&params, &result);
    memory.own(&result);
    return switch (result.tag) {
        .ok => switch (convert.event(result.value.ok)) {
            .response => |response| .{ .response = response },
            .request, .send_error => unreachable, // the interface answers with a response
        },
        .err => .{ .send_error = convert.fromSendError(result.value.err, .none) },
    };
}

/// Answer the request that is the current prompt.
pub fn respond(reply: Reply) void {
    const body: abi.Bytes = .of(reply.body);
    const metadata = convert.flat(reply.metadata);
    const mime = convert.flat(if (reply.blob) |blob| blob.mime else null);
    const bytes = convert.flat(if (reply.blob) |blob| blob.bytes else null);
    const capabilities = convert.toCapabilities(reply.capabilities);
    abi.sendResponse(
        @intFromBool(reply.inherit),
        body.ptr,
        body.len,
        metadata.some,
        metadata.ptr,
        metadata.len,
        capabilities.ptr,
        capabilities.len,
        bytes.some,
        mime.some,
        mime.ptr,
        mime.len,
        bytes.ptr,
        bytes.len,
    );
}

/// The current message's blob, copied into our memory.
pub fn getBlob() ?Blob {
    var result: abi.Option(abi.Blob) = undefined;
    abi.getBlob(&result);
    memory.own(&result);
    return convert.fromBlob(result);
}

/// What `setState` last saved.
pub fn getState() ?[]const u8 {
    var result: abi.Option(abi.Bytes) = undefined;
    abi.getState(&result);
    memory.own(&result);
    return convert.fromText(result);
}

/// Save `bytes`; they are durable when this returns.
pub fn setState(bytes: []const u8) void {
    const state: abi.Bytes = .of(bytes);
    abi.setState(state.ptr, state.len);
}

/// Forget what is saved.
pub fn clearState() void {
    abi.clearState();
}

/// Start a child process.
pub fn spawn(child: Spawn) SpawnError!ProcessId {
    const name = convert.flat(child.name);
    const path: abi.Bytes = .of(child.wasm_path);
    const on_exit = convert.toOnExit(child.on_exit);
    const requests = convert.toCapabilities(child.request_capabilities);
    const grants = convert.alloc(abi.ProcessId, child.grant_capabilities.len);
    for (grants, child.grant_capabilities) |*grant, holder| grant.* = convert.toProcessId(holder);
    var result: abi.Spawned = undefined;
    abi.spawn(
        name.some,
        name.ptr,
        name.len,
        path.ptr,
        path.len,
        @backingInt(on_exit.tag),
        on_exit.requests.ptr,
        on_exit.requests.len,
        requests.ptr,
        requests.len,
        grants.ptr,
        grants.len,
        @intFromBool(child.public),
        &result,
    );
    memory.own(&result);
    return switch (result.tag) {
        .ok => convert.fromProcessId(result.value.ok),
        .err => switch (result.value.err) {
            .name_taken => error.NameTaken,
            .no_file_at_path => error.NoFileAtPath,
        },
    };
}

/// Say what happens when this process ends.
pub fn setOnExit(on_exit: OnExit) void {
    const value = convert.toOnExit(on_exit);
    abi.setOnExit(@backingInt(value.tag), value.requests.ptr, value.requests.len);
}

/// What was said last, or in the manifest.
pub fn getOnExit() OnExit {
    var result: abi.OnExit = undefined;
    abi.getOnExit(&result);
    memory.own(&result);
    return convert.fromOnExit(result);
}

/// All that this process holds.
pub fn ourCapabilities() []const Capability {
    var result: abi.List(abi.Capability) = undefined;
    abi.ourCapabilities(&result);
    memory.own(&result);
    return convert.fromCapabilities(result);
}

/// Hold capabilities that came with a message, or make ones of which we are the issuer.
pub fn saveCapabilities(list: []const Capability) void {
    const params = convert.toCapabilities(list);
    abi.saveCapabilities(params.ptr, params.len);
}

/// Hold these no longer.
pub fn dropCapabilities(list: []const Capability) void {
    const params = convert.toCapabilities(list);
    abi.dropCapabilities(params.ptr, params.len);
}

/// Print a line to the node's terminal; 0 is always shown, 3 only to those who look for everything.
pub fn print(verbosity: u8, comptime template: []const u8, args: anytype) void {
    const line: abi.Bytes = .of(format(template, args));
    abi.printToTerminal(verbosity, line.ptr, line.len);
}

/// The least serious kind of line that `std.log` prints.
pub var log_level: std.log.Level = .info;

/// What `std.log` does: errors and warnings are always shown (verbosity 0), `info` with 1, `debug` with 2. A scope's name
/// comes in front.
pub fn logFn(
    comptime level: std.log.Level,
    comptime scope: @EnumLiteral(),
    comptime template: []const u8,
    args: anytype,
) void {
    if (@backingInt(level) > @backingInt(log_level)) return;
    const verbosity = switch (level) {
        .err, .warn => 0,
        .info => 1,
        .debug => 2,
    };
    print(verbosity, (if (scope == .default) "" else @tagName(scope) ++ ": ") ++ template, args);
}

/// Formatted text that lives until the next message.
pub fn format(comptime template: []const u8, args: anytype) []const u8 {
    return std.fmt.allocPrint(memory.arena(), template, args) catch memory.outOfMemory();
}

/// What `start.zig` makes the handler of every panic: print the message and trap.
pub const panic = std.debug.FullPanic(printAndTrap);

fn printAndTrap(message: []const u8, _: ?usize) noreturn {
    // No allocation: that may be what failed.
    abi.printToTerminal(0, message.ptr, message.len);
    @trap();
}
