//! Sends files to file_transfer on other nodes, and receives them, resuming what was interrupted.
//!
//! Main decides and keeps account; one worker per transfer and side moves the bytes (`sender.zig`, `receiver.zig`).
//! `protocol.zig` has the messages, `policy.zig` what the user lets in, `offers.zig` what they are asked about,
//! `transfers.zig` who has a place. Received files go to this package's drive `inbox`; while they arrive they are in
//! its folder `.partial`, under a name derived from who sends what, so that a second attempt finds what the first one
//! left (`leftovers.zig`).

const std = @import("std");
const nectar = @import("nectar");
const inbox = @import("inbox.zig");
const leftovers = @import("leftovers.zig");
const offers = @import("offers.zig");
const policy = @import("policy.zig");
const protocol = @import("protocol.zig");
const transfers = @import("transfers.zig");
const vfs = nectar.vfs;

const respond = protocol.respond;

const max_id_bytes = 200;
/// Files and folders in a folder that is received, itself included; vfs takes no more, either.
const max_entries = 100_000;
/// Seconds between two looks at what is too old.
const sweep_seconds = 30;
/// The same for what interrupted transfers have left.
const aging_seconds = 24 * 3600;

var our: nectar.Address = undefined;
/// Whether a tick is on its way: of each second, while files are received; of `sweep_seconds`, while offers wait.
var ticking = false;
var sweeping = false;
/// The same, of `aging_seconds`, while there is anything that an interrupted transfer has left.
var aging = false;

pub fn init(address: nectar.Address) !void {
    our = address;
    policy.load();
    // Again with each offer; here it shows early in the log what is wrong.
    if (inbox.prepare(our.process) == null) try age();
    while (true) {
        tickWhileNeeded();
        switch (nectar.receive()) {
            .request => |request| try handle(request),
            .response => |response| try outcome(response.context),
            .send_error => |failed| try outcome(failed.context),
        }
    }
}

/// While there is nothing whose time counts, there is no tick.
fn tickWhileNeeded() void {
    if (!ticking and transfers.running(.receiving) > 0) {
        ticking = true;
        protocol.arm(1000, .tick);
    }
    if (!sweeping and offers.any()) {
        sweeping = true;
        protocol.arm(1000 * sweep_seconds, .sweep);
    }
    if (!aging and leftovers.any()) {
        aging = true;
        protocol.arm(1000 * aging_seconds, .aging);
    }
}

/// Remove what nobody has gone on with for too long.
fn age() !void {
    try leftovers.load(our.process, transfers.isWritten);
    leftovers.trim(policy.maxLeftoverBytes());
}

fn outcome(context: ?[]const u8) !void {
    const known = protocol.Context.parse(context) orelse return stopped(context);
    switch (known.purpose) {
        .tick => {
            ticking = false;
            transfers.tick();
        },
        .sweep => {
            sweeping = false;
            if (!ticking) transfers.clock += sweep_seconds;
            offers.expire(false);
        },
        .aging => {
            aging = false;
            try age();
        },
        else => {},
    }
}

const not_understood = "not a request that file_transfer understands";
const not_for_others = "only processes of this node may ask this";
const for_the_user = "only the user of this node may ask this";

fn handle(request: nectar.Request) !void {
    const message = nectar.json.parse(protocol.ToMain, request.body) catch {
        nectar.print(1, "{s} sent a request that is not understood", .{request.source.node});
        return if (request.wantsAnswer()) respond(.{ .Err = not_understood });
    };
    const local = std.mem.eql(u8, request.source.node, our.node);
    const worker = request.source.samePackage(our);
    switch (message) {
        .Offer => |offer| {
            var file = offer;
            file.entries = 0;
            return consider(file, request.source);
        },
        .OfferFolder => |offer| return if (offer.entries > 0) consider(offer, request.source) else respond(
            .{ .Refused = .{ .kind = .Refused, .reason = "a folder has at least one entry, itself" } },
        ),
        .Alive => |alive| return forwardAlive(alive.worker, request.source.node),
        .Report => |report| if (worker) return reported(request.source.process, report),
        .Ended => if (worker) return ended(request.source.process),
        .Store => |file| if (worker) return store(file.partial, file.name, file.folder),
        .Policy, .GetPolicy, .Offers, .Accept, .Refuse => if (local and isUser(request.source.process)) {
            return handleUser(message);
        } else if (request.wantsAnswer()) return respond(.{ .Err = for_the_user }),
        else => if (local) return handleLocal(message),
    }
    if (request.wantsAnswer()) respond(.{ .Err = not_for_others });
}

fn isUser(process: nectar.ProcessId) bool {
    return process.eql(nectar.Address.local("terminal:terminal:sys").process);
}

fn handleLocal(message: protocol.ToMain) !void {
    switch (message) {
        .Send => |job| try send(job),
        .Status => |wanted| status(wanted.id),
        .Cancel => |wanted| cancel(wanted.id),
        .List => try listAll(),
        else => unreachable, // handled by our caller
    }
}

fn handleUser(message: protocol.ToMain) !void {
    switch (message) {
        .Policy => |new| {
            try policy.set(new);
            if (policy.current().accept != .ask) offers.expire(true);
            leftovers.trim(policy.maxLeftoverBytes());
        },
        .GetPolicy => respond(.{ .Policy = policy.current() }),
        .Offers => respond(.{ .Offers = try offers.all() }),
        .Accept => |wanted| offers.decide(wanted.id, .accepted),
        .Refuse => |wanted| offers.decide(wanted.id, .refused),
        else => unreachable, // handled by our caller
    }
}

fn reported(worker: nectar.ProcessId, report: protocol.Report) !void {
    const over = report.state.over() and if (transfers.byWorker(worker)) |known| !known.report.state.over() else true;
    try transfers.put(worker, report);
    if (!report.state.over()) leftovers.take(report.partial);
    if (over and report.direction == .receiving) try leave(report.partial, report.state == .done);
}

/// Its last report may be missing, if it has trapped.
fn ended(worker: nectar.ProcessId) !void {
    const known = transfers.byWorker(worker) orelse return;
    if (known.report.state.over()) return;
    known.report.state = .failed;
    if (known.report.direction == .receiving) try leave(known.report.partial, false);
}

/// Nobody writes the partial file any more.
fn leave(partial: []const u8, done: bool) !void {
    if (done) offers.forget(partial);
    if (transfers.isWritten(partial)) return;
    try leftovers.leave(partial, policy.maxLeftoverBytes());
    if (!done) leftovers.removeUnpacked(partial);
}

fn store(partial: []const u8, name: []const u8, is_folder: bool) void {
    if (inbox.store(our.process, partial, name, is_folder)) if (transfers.writing(partial)) |transfer| {
        policy.stored(transfer.report.size, is_folder);
    };
}

fn send(job: protocol.Send) !void {
    if (job.id.len == 0 or job.id.len > max_id_bytes) return refuse("the transfer's id must have 1 to 200 bytes");
    if (inbox.badName(job.name)) |reason| return refuse(reason);
    if (!isNode(job.to)) {
        const shown = protocol.presentable(job.to);
        return refuse(nectar.format("'{s}' is not a node's name, such as some-user.nec", .{shown}));
    }
    if (transfers.byId(job.id)) |known| if (!known.report.state.over()) {
        return refuse(nectar.format("a transfer with the id '{s}' is running", .{job.id}));
    };
    if (!transfers.maySend()) {
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
    const partial = inbox.partialPath(our.process, from.node, offer);
    if (policy.of(from.node) == .ask) {
        if (try askUser(partial, from.node, offer)) |refused| return respond(.{ .Refused = refused });
    }
    if (transfers.writing(partial)) |older| return stop(older.worker, offer, from);
    const place = transfers.place(from.node);
    if (full(place, from.node)) |refused| return respond(.{ .Refused = refused });
    if (inbox.prepare(our.process)) |problem| {
        const reason = nectar.format("{s} cannot store files: {s}", .{ our.node, problem });
        return respond(.{ .Refused = .{ .kind = .Disk, .reason = reason } });
    }
    try leftovers.load(our.process, transfers.isWritten);
    if (policy.inboxFull(our, offer.size, @max(1, offer.entries))) |reason| {
        return respond(.{ .Refused = .{ .kind = .Disk, .reason = reason } });
    }
    const beside = if (offer.entries > 0) offer.size else 0;
    if (noRoom(partial, from.node, offer.size +| beside)) |refused| return respond(.{ .Refused = refused });
    if (place == .of and !place.of.displaced) displace(place.of);
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
        .bytes = leftovers.has(partial),
        .size = offer.size,
        .resumed_from = leftovers.has(partial),
    });
    if (transfers.byWorker(worker)) |transfer| transfer.beside = beside;
    leftovers.take(partial);
    order(worker, .{ .Receive = .{ .offer = offer, .from = nectar.format("{f}", .{from}), .partial = partial } }, true);
}

/// Why we do not take it, whatever else happens here.
fn decline(offer: protocol.Offer, node: []const u8) ?[]const u8 {
    if (policy.of(node) == .refuse) return nectar.format("{s} accepts no files from {s}", .{ our.node, node });
    if (policy.tooLarge(our.node, offer.size)) |reason| return reason;
    if (inbox.badName(offer.name)) |reason| {
        return nectar.format("{s} does not accept the name: {s}", .{ our.node, reason });
    }
    if (offer.id.len == 0 or offer.id.len > max_id_bytes) return "the transfer's id must have 1 to 200 bytes";
    if (offer.entries > max_entries) {
        return nectar.format("{s} takes no folder with more than {d} files and folders", .{ our.node, max_entries });
    }
    return null;
}

/// What the sender hears as long as the user has not accepted it; null: they have.
fn askUser(partial: []const u8, node: []const u8, offer: protocol.Offer) !?protocol.Refused {
    const verdict = try offers.verdict(partial, node, offer) orelse {
        const many = "too many offers wait for an answer of the user of {s}; run the same command again later";
        return waiting(.Refused, protocol.max_again, nectar.format(many, .{our.node}));
    };
    return switch (verdict) {
        .accepted => null,
        .pending => .{
            .kind = .Refused,
            .reason = nectar.format("{s} asks its user first; run the same command again once they have accepted", .{our.node}),
            .again = protocol.again_asked,
            .note = nectar.format("{s} asks its user whether to accept the file", .{our.node}),
        },
        .refused => .{
            .kind = .Refused,
            .reason = nectar.format("the user of {s} does not accept {s}", .{ our.node, offer.name }),
        },
    };
}

fn full(place: transfers.Place, node: []const u8) ?protocol.Refused {
    const words = switch (place) {
        .free, .of => return null,
        .too_many => nectar.format("{d} transfers from {s} to {s} are running", .{ transfers.max_of_node, node, our.node }),
        .none => nectar.format("too many transfers are running on {s}", .{our.node}),
    };
    return waiting(.Other, protocol.again_busy, words);
}

fn waiting(kind: protocol.Kind, again: u32, words: []const u8) protocol.Refused {
    return .{ .kind = kind, .reason = words, .again = again, .note = words };
}

/// Why there is no room for the file on the disk; makes it, if others hold room that they make nothing of.
fn noRoom(partial: []const u8, node: []const u8, size: u64) ?protocol.Refused {
    const needed = size -| leftovers.has(partial);
    const mark = inbox.ownerMark(node);
    while (true) {
        const free = switch (vfs.ask(inbox.folder(our.process), .FreeSpace)) {
            .FreeSpace => |free| free,
            else => |reply| {
                const words = nectar.format("{s} cannot store files: {s}", .{ our.node, reply.problem().text });
                return .{ .kind = .Disk, .reason = words };
            },
        };
        const room = free -| transfers.promised();
        if (needed <= room) return null;
        const missing = needed - room;
        const left = leftovers.reclaimable(mark, needed, partial);
        if (missing > transfers.stalled() +| left) {
            const shown = .{ our.node, protocol.shownBytes(needed), protocol.shownBytes(room) };
            const words = nectar.format("{s} has no room for {s}: {s} are free", shown);
            // It waits if others are to have what it needs, and may fail or be stopped.
            if (needed <= free +| left) return waiting(.Disk, protocol.again_busy, words);
            return .{ .kind = .Disk, .reason = words };
        }
        if (transfers.longestStalled()) |victim| displace(victim) else leftovers.makeRoom(missing, mark, needed, partial);
    }
}

/// Its place is needed. It may still write what is on its way to the disk, see `transfers.writing`.
fn displace(transfer: *transfers.Transfer) void {
    transfer.displaced = true;
    const idle = transfer.isIdle();
    const why = if (idle) "nothing came for a while" else "others have fewer";
    const reason = nectar.format("{s} gave its place to another transfer: {s}", .{ our.node, why });
    order(transfer.worker, .{ .Displace = .{ .reason = reason } }, false);
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
    const unstopped = nectar.json.parse(Waiting, context orelse return) catch return;
    try ended(try nectar.ProcessId.parse(unstopped.worker));
    try consider(unstopped.offer, try nectar.Address.parse(unstopped.from));
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
        .note = report.note,
        .files = report.files,
        .of_files = report.of_files,
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
