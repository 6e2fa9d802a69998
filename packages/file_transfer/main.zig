//! Sends files to file_transfer on other nodes, and receives them, resuming what was interrupted.
//!
//! Main decides and keeps account; one worker per transfer and side moves the bytes (`sender.zig`, `receiver.zig`).
//! `protocol.zig` has the messages. Received files go to this package's drive `inbox`; while they arrive they are in
//! its folder `.partial`, under a name derived from who sends what, so that a second attempt finds what the first one
//! left.

const std = @import("std");
const nectar = @import("nectar");
const inbox = @import("inbox.zig");
const protocol = @import("protocol.zig");
const transfers = @import("transfers.zig");

const respond = protocol.respond;

const max_id_bytes = 200;
const max_nodes = 1000;

var our: nectar.Address = undefined;
var policy: protocol.Policy = .{};

pub fn init(address: nectar.Address) !void {
    our = address;
    loadPolicy();
    _ = inbox.prepare(our.process); // again with each offer; here it shows early in the log what is wrong
    while (true) switch (nectar.receive()) {
        .request => |request| try handle(request),
        .response => |response| try stopped(response.context),
        .send_error => |failed| try stopped(failed.context),
    };
}

const not_understood = "not a request that file_transfer understands";
const not_for_others = "only processes of this node may ask this";

fn handle(request: nectar.Request) !void {
    const message = nectar.json.parse(protocol.ToMain, request.body) catch {
        nectar.print(1, "{s} sent a request that is not understood", .{request.source.node});
        return if (request.wantsAnswer()) respond(.{ .Err = not_understood });
    };
    const local = std.mem.eql(u8, request.source.node, our.node);
    const worker = request.source.samePackage(our);
    switch (message) {
        .Offer => |offer| return consider(offer, request.source),
        .Alive => |alive| return forwardAlive(alive.worker, request.source.node),
        .Report => |report| if (worker) return transfers.put(request.source.process, report),
        .Store => |file| if (worker) return inbox.store(our.process, file.partial, file.name),
        else => if (local) return handleUser(message),
    }
    if (request.wantsAnswer()) respond(.{ .Err = not_for_others });
}

fn handleUser(message: protocol.ToMain) !void {
    switch (message) {
        .Send => |job| try send(job),
        .Status => |wanted| status(wanted.id),
        .Cancel => |wanted| cancel(wanted.id),
        .Policy => |new| try setPolicy(new),
        .GetPolicy => respond(.{ .Policy = policy }),
        .List => try listAll(),
        else => unreachable, // handled by our caller
    }
}

fn send(job: protocol.Send) !void {
    if (job.id.len == 0 or job.id.len > max_id_bytes) return refuse("the transfer's id must have 1 to 200 bytes");
    if (inbox.badName(job.name)) |reason| return refuse(reason);
    if (!isNode(job.to)) {
        const shown = protocol.presentable(job.to);
        return refuse(nectar.format("'{s}' is no node name such as some-user.nec", .{shown}));
    }
    if (transfers.byId(job.id)) |known| if (!known.report.state.over()) {
        return refuse(nectar.format("a transfer with the id '{s}' is running", .{job.id}));
    };
    if (transfers.full()) {
        return refuse("too many transfers are running; run the same command again when some have ended");
    }
    const worker = spawnWorker() orelse return refuse("the worker for the transfer could not be started");
    try transfers.put(worker, .{ .id = job.id, .direction = .sending, .peer = job.to, .name = job.name });
    // Inherits: the worker answers our requester.
    order(worker, .{ .Send = job }, true);
}

fn refuse(reason: []const u8) void {
    respond(.{ .Failed = .{ .reason = reason, .kind = .Other } });
}

fn isNode(text: []const u8) bool {
    if (text.len == 0 or text.len > 253 or std.mem.indexOfScalar(u8, text, '.') == null) return false;
    for (text) |byte| switch (byte) {
        'a'...'z', '0'...'9', '-', '.' => {},
        else => return false,
    };
    return true;
}

fn spawnWorker() ?nectar.ProcessId {
    return nectar.spawn(.{
        .wasm_path = "/worker.wasm",
        // It needs what we have: vfs, the timer and the network.
        .request_capabilities = nectar.ourCapabilities(),
    }) catch |err| {
        nectar.print(0, "cannot start a worker: {t}", .{err});
        return null;
    };
}

fn order(worker: nectar.ProcessId, message: protocol.ToWorker, inherit: bool) void {
    nectar.send(.{
        .target = .{ .node = our.node, .process = worker },
        .body = nectar.json.stringify(message),
        .inherit = inherit,
    });
}

/// Another node wants to send us a file. This is also the second half of `stopped`.
fn consider(offer: protocol.Offer, from: nectar.Address) !void {
    if (decline(offer, from.node)) |reason| return respond(.{ .Refused = .{ .kind = .Refused, .reason = reason } });
    if (inbox.prepare(our.process)) |problem| {
        const reason = nectar.format("{s} cannot store files: {s}", .{ our.node, problem });
        return respond(.{ .Refused = .{ .kind = .Disk, .reason = reason } });
    }
    const partial = inbox.partialPath(our.process, from.node, offer);
    if (transfers.writing(partial)) |older| return stop(older.worker, offer, from);
    const worker = spawnWorker() orelse {
        const reason = nectar.format("{s} could not start a worker", .{our.node});
        return respond(.{ .Refused = .{ .kind = .Other, .reason = reason } });
    };
    try transfers.put(worker, .{
        .id = nectar.format("{s}/{s}", .{ from.node, offer.id }),
        .direction = .receiving,
        .peer = from.node,
        .name = offer.name,
        .partial = partial,
        .size = offer.size,
    });
    order(worker, .{ .Receive = .{ .offer = offer, .from = nectar.format("{f}", .{from}), .partial = partial } }, true);
}

/// Why we do not take it.
fn decline(offer: protocol.Offer, node: []const u8) ?[]const u8 {
    if (!policy.accept.allows(node)) return nectar.format("{s} accepts no files from {s}", .{ our.node, node });
    if (policy.max_size) |max| if (offer.size > max) {
        return nectar.format("{s} accepts files of up to {d} bytes, this one has {d}", .{ our.node, max, offer.size });
    };
    if (inbox.badName(offer.name)) |reason| {
        return nectar.format("{s} does not accept the name: {s}", .{ our.node, reason });
    }
    if (offer.id.len == 0 or offer.id.len > max_id_bytes) return "the transfer's id must have 1 to 200 bytes";
    if (transfers.full()) return nectar.format("too many transfers are running on {s}", .{our.node});
    return null;
}

/// The context of a Stop: the offer that waits for its outcome.
const Waiting = struct { offer: protocol.Offer, from: []const u8, worker: []const u8 };

fn stop(worker: nectar.ProcessId, offer: protocol.Offer, from: nectar.Address) void {
    nectar.send(.{
        .target = .{ .node = our.node, .process = worker },
        .body = nectar.json.stringify(protocol.ToWorker.Stop),
        .expects_response = protocol.timeout.local,
        .context = nectar.json.stringify(Waiting{
            .offer = offer,
            .from = nectar.format("{f}", .{from}),
            .worker = nectar.format("{f}", .{worker}),
        }),
    });
}

/// The older attempt has stopped writing, or is no more: the prompt is again the offer that waited for this.
fn stopped(context: ?[]const u8) !void {
    const waiting = nectar.json.parse(Waiting, context orelse return) catch return;
    if (transfers.byWorker(try nectar.ProcessId.parse(waiting.worker))) |older| older.report.state = .failed;
    try consider(waiting.offer, try nectar.Address.parse(waiting.from));
}

fn forwardAlive(text: []const u8, node: []const u8) void {
    const worker = nectar.ProcessId.parse(text) catch return respond(.Gone);
    const transfer = transfers.byWorker(worker) orelse return respond(.Gone);
    if (transfer.report.state.over() or !std.mem.eql(u8, transfer.report.peer, node)) return respond(.Gone);
    order(transfer.worker, .Alive, true);
}

fn status(id: []const u8) void {
    const transfer = transfers.byId(id) orelse return respond(.{ .Err = "no such transfer" });
    const report = transfer.report;
    respond(.{ .Status = .{
        .state = report.state,
        .bytes = report.bytes,
        .size = report.size,
        .resumed_from = report.resumed_from,
    } });
}

fn cancel(id: []const u8) void {
    const transfer = transfers.byId(id) orelse return respond(.{ .Err = "no such transfer" });
    if (transfer.report.state.over()) return respond(.{ .Err = "the transfer has already ended" });
    order(transfer.worker, .Cancel, false);
    respond(.Ok);
}

fn listAll() !void {
    const known = transfers.all();
    const listed = try nectar.arena().alloc(protocol.Listed, known.len);
    for (listed, known) |*row, transfer| row.* = .{
        .id = transfer.report.id,
        .direction = transfer.report.direction,
        .peer = transfer.report.peer,
        .name = transfer.report.name,
        .state = transfer.report.state,
        .bytes = transfer.report.bytes,
        .size = transfer.report.size,
        .resumed_from = transfer.report.resumed_from,
    };
    respond(.{ .List = listed });
}

fn setPolicy(new: protocol.Policy) !void {
    if (new.accept == .nodes and new.accept.nodes.len > max_nodes) return respond(.{ .Err = "at most 1000 nodes" });
    nectar.setState(nectar.json.stringify(new));
    try adopt(new);
    respond(.Ok);
}

fn loadPolicy() void {
    const state = nectar.getState() orelse return;
    const saved = nectar.json.parse(protocol.Policy, state) catch {
        // Nobody but we wrote it, so the disk is at fault; nothing is accepted until the user decides anew.
        nectar.print(0, "the saved policy cannot be read: no files are accepted until a policy is set", .{});
        policy = .{ .accept = .none };
        return;
    };
    adopt(saved) catch @panic("out of memory");
}

/// Keep `new` beyond the message that it came with.
fn adopt(new: protocol.Policy) !void {
    if (policy.accept == .nodes) {
        for (policy.accept.nodes) |node| nectar.allocator.free(node);
        nectar.allocator.free(policy.accept.nodes);
    }
    policy = new;
    if (new.accept == .nodes) {
        const nodes = try nectar.allocator.alloc([]const u8, new.accept.nodes.len);
        for (nodes, new.accept.nodes) |*copy, node| copy.* = try nectar.allocator.dupe(u8, node);
        policy.accept = .{ .nodes = nodes };
    }
}
