//! A process that does what it is told, and tells what it saw.
//!
//! The body of a request is its program: a JSON array of steps (`Step`). So is the context of a request that it sends:
//! when the outcome comes back, the context is run, under the prompt and with the blob that the kernel restores then.
//! `"Report"` is answered with the log, `"Forget"` empties it; every other message is noted and nothing more.
//!
//! Whatever it sees is also printed as it happens (verbosity 3, `saw {…}`): so the log of a process that has ended or
//! never returns can be read too, and reading it does not move the prompt.

const std = @import("std");
const nectar = @import("nectar");
const json = nectar.json;

const Step = union(enum) {
    Send: Message,
    SendMany: []const Message,
    Await: Message,
    Respond: Reply,
    /// Take so many messages; they are noted, and none is run.
    Receive: u32,
    /// The same, up to and with the message of this body.
    ReceiveUntil: []const u8,
    GetBlob,
    Spawn: Child,
    OurCapabilities,
    SaveCapabilities: []const Capability,
    /// Save what came with the latest request or response.
    SaveReceived,
    DropCapabilities: []const Capability,
    SetOnExit: OnExit,
    GetOnExit,
    GetState,
    SetState: []const u8,
    ClearState,
    Print: struct { verbosity: u8 = 0, text: []const u8 },
    /// So many requests of `size` bytes, numbered from 0 in their first digits.
    Flood: struct { to: []const u8, count: u32, size: u32 = 0 },
    /// So many pages of 64 KiB.
    Grow: u32,
    /// What to run when a response of ours comes back (it has no context).
    OnReturned: json.Raw,
    Recurse,
    Spin,
    Trap,
    Return,
};

const Message = struct {
    to: []const u8,
    body: []const u8 = "",
    /// Instead of `body`: steps for the receiver, if that is a probe too.
    script: ?json.Raw = null,
    /// Instead of `body`: so many bytes.
    size: ?u32 = null,
    expects: ?u64 = null,
    inherit: bool = false,
    context: ?[]const u8 = null,
    /// Instead of `context`: steps to run when the outcome is there.
    then: ?json.Raw = null,
    metadata: ?[]const u8 = null,
    blob: ?Blob = null,
    capabilities: []const Capability = &.{},

    fn outgoing(self: Message) nectar.Outgoing {
        return .{
            .target = lenient(self.to),
            .body = if (self.script) |raw| raw.text else sized(self.body, self.size),
            .expects_response = self.expects,
            .inherit = self.inherit,
            .context = if (self.then) |raw| raw.text else self.context,
            .metadata = self.metadata,
            .blob = if (self.blob) |blob| blob.carried() else null,
            .capabilities = capabilities(self.capabilities),
        };
    }
};

const Reply = struct {
    body: []const u8 = "",
    size: ?u32 = null,
    inherit: bool = false,
    metadata: ?[]const u8 = null,
    blob: ?Blob = null,
    capabilities: []const Capability = &.{},
};

const Blob = struct {
    mime: ?[]const u8 = null,
    text: []const u8 = "",
    size: ?u32 = null,

    fn carried(self: Blob) nectar.Blob {
        return .{ .mime = self.mime, .bytes = sized(self.text, self.size) };
    }
};

const Capability = struct { issuer: []const u8, params: []const u8 };

const Child = struct {
    name: ?[]const u8 = null,
    path: []const u8 = "/probe.wasm",
    on_exit: OnExit = .None,
    capabilities: []const Capability = &.{},
    grants: []const []const u8 = &.{},
    public: bool = false,
};

const OnExit = union(enum) { None, Restart, Requests: []const Message };

/// One thing that it saw. `kind` is request, response, error, returned (a response of ours that came back), or the
/// step whose result it is.
const Seen = struct {
    kind: []const u8,
    source: ?[]const u8 = null,
    body: ?[]const u8 = null,
    /// Bytes of the whole body; the text above ends after 200.
    size: usize = 0,
    context: ?[]const u8 = null,
    metadata: ?[]const u8 = null,
    /// Of a blob, or of the one that came back with an error: its mime and bytes.
    mime: ?[]const u8 = null,
    blob: ?[]const u8 = null,
    blob_size: usize = 0,
    inherit: bool = false,
    expects: ?u64 = null,
    failure: ?[]const u8 = null,
    capabilities: []const Capability = &.{},
};

/// What a script leaves behind for those after it.
var log: std.ArrayList([]const u8) = .empty;
var received: []const nectar.Capability = &.{};
var on_returned: ?[]const u8 = null;
var ending = false;

pub fn init(_: nectar.Address) void {
    while (!ending) {
        const event = nectar.receive();
        seeEvent(event);
        switch (event) {
            .request => |request| command(request),
            .response => |response| if (response.context) |context| runIfScript(context),
            .send_error => |failed| if (failed.of_request) {
                if (failed.context) |context| runIfScript(context);
            } else if (on_returned) |script| {
                on_returned = null;
                runIfScript(script);
            },
        }
    }
}

fn command(request: nectar.Request) void {
    if (std.mem.eql(u8, request.body, "\"Report\"")) {
        nectar.respond(.{ .body = report() });
    } else if (std.mem.eql(u8, request.body, "\"Forget\"")) {
        log.clearRetainingCapacity();
        nectar.respond(.{ .body = "[]" });
    } else runIfScript(request.body);
}

/// All that was seen before this, as a JSON array.
fn report() []const u8 {
    _ = log.pop(); // the request for it
    const rows = nectar.arena().alloc(json.Raw, log.items.len) catch @panic("out of memory");
    for (rows, log.items) |*row, text| row.* = .{ .text = text };
    return json.stringify(rows);
}

fn runIfScript(text: []const u8) void {
    if (text.len == 0 or text[0] != '[') return;
    // Steps that receive free what belongs to the message, the script among it.
    const kept = nectar.allocator.dupe(u8, text) catch @panic("out of memory");
    defer nectar.allocator.free(kept);
    const steps = json.parse([]const json.Raw, kept) catch @panic("a script that is no JSON");
    const list = nectar.allocator.dupe(json.Raw, steps) catch @panic("out of memory");
    defer nectar.allocator.free(list);
    for (list) |raw| {
        const step = json.parse(Step, raw.text) catch {
            nectar.print(0, "no step: {s}", .{raw.text});
            @trap();
        };
        run(step);
        if (ending) return;
    }
}

fn run(step: Step) void {
    switch (step) {
        .Send => |message| nectar.send(message.outgoing()),
        .SendMany => |messages| sendMany(messages),
        .Await => |message| switch (nectar.sendAndAwait(message.outgoing())) {
            .response => |response| seeEvent(.{ .response = response }),
            .send_error => |failed| seeEvent(.{ .send_error = failed }),
        },
        .Respond => |reply| respond(reply),
        .Receive => |count| for (0..count) |_| seeEvent(nectar.receive()),
        .ReceiveUntil => |body| receiveUntil(body),
        .GetBlob => seeBlob(nectar.getBlob()),
        .Spawn => |child| spawn(child),
        .Print => |line| nectar.print(line.verbosity, "{s}", .{line.text}),
        .Flood => |flood| for (0..flood.count) |n| nectar.send(.{
            .target = lenient(flood.to),
            .body = sized(nectar.format("{d}", .{n}), if (flood.size == 0) null else flood.size),
        }),
        .OnReturned => |raw| on_returned = nectar.allocator.dupe(u8, raw.text) catch @panic("out of memory"),
        .Return => ending = true,
        .Trap => @trap(),
        .Spin => while (true) {},
        .Recurse => see(.{ .kind = "recursed", .size = recurse(1) }),
        .Grow => |pages| see(.{ .kind = "grown", .size = grow(pages) }),
        else => runSetting(step),
    }
}

fn runSetting(step: Step) void {
    switch (step) {
        .OurCapabilities => see(.{ .kind = "capabilities", .capabilities = shown(nectar.ourCapabilities()) }),
        .SaveCapabilities => |list| nectar.saveCapabilities(capabilities(list)),
        .SaveReceived => nectar.saveCapabilities(received),
        .DropCapabilities => |list| nectar.dropCapabilities(capabilities(list)),
        .SetOnExit => |on_exit| nectar.setOnExit(onExit(on_exit)),
        .GetOnExit => seeOnExit(nectar.getOnExit()),
        .GetState => see(.{ .kind = "state", .body = nectar.getState() }),
        .SetState => |bytes| {
            nectar.setState(bytes);
            see(.{ .kind = "saved" });
        },
        .ClearState => nectar.clearState(),
        else => unreachable, // the others are in `run`
    }
}

fn sendMany(messages: []const Message) void {
    const list = nectar.arena().alloc(nectar.Outgoing, messages.len) catch @panic("out of memory");
    for (list, messages) |*to, message| to.* = message.outgoing();
    nectar.sendAll(list);
}

fn respond(reply: Reply) void {
    nectar.respond(.{
        .body = sized(reply.body, reply.size),
        .inherit = reply.inherit,
        .metadata = reply.metadata,
        .blob = if (reply.blob) |blob| blob.carried() else null,
        .capabilities = capabilities(reply.capabilities),
    });
}

fn receiveUntil(wanted: []const u8) void {
    const body = nectar.allocator.dupe(u8, wanted) catch @panic("out of memory");
    defer nectar.allocator.free(body);
    while (true) {
        const event = nectar.receive();
        seeEvent(event);
        const arrived = switch (event) {
            inline else => |message| message.body,
        };
        if (std.mem.eql(u8, arrived, body)) return;
    }
}

fn spawn(child: Child) void {
    const holders = nectar.arena().alloc(nectar.ProcessId, child.grants.len) catch @panic("out of memory");
    for (holders, child.grants) |*to, from| to.* = lenient(from).process;
    const spawned = nectar.spawn(.{
        .name = child.name,
        .wasm_path = child.path,
        .on_exit = onExit(child.on_exit),
        .request_capabilities = capabilities(child.capabilities),
        .grant_capabilities = holders,
        .public = child.public,
    }) catch |err| return see(.{ .kind = "spawned", .failure = @errorName(err) });
    see(.{ .kind = "spawned", .body = nectar.format("{f}", .{spawned}) });
}

fn onExit(from: OnExit) nectar.OnExit {
    switch (from) {
        .None => return .none,
        .Restart => return .restart,
        .Requests => |messages| {
            const list = nectar.arena().alloc(nectar.OnExitRequest, messages.len) catch @panic("out of memory");
            for (list, messages) |*to, message| {
                const out = message.outgoing();
                to.* = .{ .target = out.target, .body = out.body, .inherit = out.inherit, .blob = out.blob };
            }
            return .{ .requests = list };
        },
    }
}

fn capabilities(list: []const Capability) []const nectar.Capability {
    const result = nectar.arena().alloc(nectar.Capability, list.len) catch @panic("out of memory");
    for (result, list) |*to, from| to.* = .{ .issuer = lenient(from.issuer), .params = from.params };
    return result;
}

fn shown(list: []const nectar.Capability) []const Capability {
    const result = nectar.arena().alloc(Capability, list.len) catch @panic("out of memory");
    for (result, list) |*to, from| to.* = .{ .issuer = nectar.format("{f}", .{from.issuer}), .params = from.params };
    return result;
}

/// `node@process:package:publisher`, whatever the parts are: what is wrong with them is for the kernel to find.
fn lenient(text: []const u8) nectar.Address {
    const at = std.mem.indexOfScalar(u8, text, '@') orelse return .{ .node = "our", .process = processOf(text) };
    return .{ .node = text[0..at], .process = processOf(text[at + 1 ..]) };
}

fn processOf(text: []const u8) nectar.ProcessId {
    var parts = std.mem.splitScalar(u8, text, ':');
    return .{ .process = parts.next() orelse "", .package = parts.next() orelse "", .publisher = parts.rest() };
}

fn sized(text: []const u8, size: ?u32) []const u8 {
    const length = size orelse return text;
    const bytes = nectar.arena().alloc(u8, length) catch @panic("out of memory");
    @memset(bytes, 'x');
    @memcpy(bytes[0..@min(length, text.len)], text[0..@min(length, text.len)]);
    return bytes;
}

// --- what it saw ------------------------------------------------------------------------------------------------

fn seeEvent(event: nectar.Event) void {
    switch (event) {
        .request => |request| {
            keep(request.capabilities);
            see(.{
                .kind = "request",
                .source = nectar.format("{f}", .{request.source}),
                .body = request.body,
                .metadata = request.metadata,
                .inherit = request.inherit,
                .expects = request.expects_response,
                .capabilities = shown(request.capabilities),
            });
        },
        .response => |response| {
            keep(response.capabilities);
            see(.{
                .kind = "response",
                .source = nectar.format("{f}", .{response.source}),
                .body = response.body,
                .metadata = response.metadata,
                .inherit = response.inherit,
                .context = response.context,
                .capabilities = shown(response.capabilities),
            });
        },
        .send_error => |failed| see(.{
            .kind = if (failed.of_request) "error" else "returned",
            .failure = @tagName(failed.kind),
            .body = failed.body,
            .context = failed.context,
            .mime = if (failed.blob) |blob| blob.mime else null,
            .blob = if (failed.blob) |blob| blob.bytes else null,
        }),
    }
}

fn seeBlob(blob: ?nectar.Blob) void {
    const some = blob orelse return see(.{ .kind = "blob" });
    see(.{ .kind = "blob", .mime = some.mime, .blob = some.bytes });
}

fn seeOnExit(on_exit: nectar.OnExit) void {
    switch (on_exit) {
        .none, .restart => see(.{ .kind = "on-exit", .body = @tagName(on_exit) }),
        .requests => |list| for (list) |request| see(.{
            .kind = "on-exit",
            .source = nectar.format("{f}", .{request.target}),
            .body = request.body,
        }),
    }
}

fn see(what: Seen) void {
    var entry = what;
    if (entry.body) |body| {
        if (entry.size == 0) entry.size = body.len;
        entry.body = short(body);
    }
    if (entry.blob) |blob| {
        entry.blob_size = blob.len;
        entry.blob = short(blob);
    }
    const text = nectar.allocator.dupe(u8, json.stringify(entry)) catch @panic("out of memory");
    log.append(nectar.allocator, text) catch @panic("out of memory");
    nectar.print(3, "saw {s}", .{text});
}

fn short(bytes: []const u8) []const u8 {
    return bytes[0..@min(bytes.len, 200)];
}

/// Remember capabilities beyond the message that brought them.
fn keep(list: []const nectar.Capability) void {
    const kept = nectar.allocator.alloc(nectar.Capability, list.len) catch @panic("out of memory");
    for (kept, list) |*to, from| to.* = .{
        .issuer = from.issuer.dupe(nectar.allocator) catch @panic("out of memory"),
        .params = nectar.allocator.dupe(u8, from.params) catch @panic("out of memory"),
    };
    received = kept;
}

// --- misbehaviour -----------------------------------------------------------------------------------------------

/// How many of so many pages it got.
fn grow(pages: u32) u32 {
    var got: u32 = 0;
    while (got < pages and @wasmMemoryGrow(0, 1) >= 0) got += 1;
    return got;
}

/// Without end: each call keeps something on the stack that the next one needs.
fn recurse(depth: usize) usize {
    var kept: [64]usize = @splat(depth);
    std.mem.doNotOptimizeAway(&kept);
    const below = recurse(depth + 1);
    return below + kept[depth % kept.len];
}
