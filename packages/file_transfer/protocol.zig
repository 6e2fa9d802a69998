//! What main, the sending worker and the receiving worker say to each other, and what users of the node say to main.
//!
//!     user ── Send ──▶ main ── Send (inherits) ──▶ sending worker
//!     sending worker ── Offer ──▶ main of the other node ── Receive (inherits) ──▶ receiving worker
//!         the receiving worker answers Accepted or Refused, and so makes itself known
//!     sending worker ── Begin ──▶ receiving worker
//!         receiving worker ── Chunk ──▶ sending worker, which answers Read, the bytes in the blob
//!         the receiving worker answers, when it has all, Received, or before that Have or Failed
//!     sending worker ── Commit ──▶ receiving worker, which answers Stored or Failed
//!     sending worker ── Alive ──▶ main of the other node ── Alive (inherits) ──▶ receiving worker
//!     the sending worker answers the user's Send: Done or Failed
//!
//! Alive goes by way of main because messages between two processes keep their order: sent to the worker itself it
//! would wait behind megabytes of chunks. Either worker ends the transfer with GiveUp, which wants no answer.

const std = @import("std");
const nectar = @import("nectar");

const json = nectar.json;

/// Bytes per chunk: large enough that a message costs nothing beside its bytes, small enough to share a connection.
pub const chunk_bytes = 2 << 20;
/// Chunks that are asked for, or received and not yet written. With `chunk_bytes` this bounds the memory of a
/// transfer.
pub const window = 8;
/// Chunks that a sender reads at once for a receiver, which may be somebody else's program.
pub const max_reads = 64;
pub const max_chunk_bytes = 4 << 20;

pub const tick_milliseconds = 100;
pub const alive_every_ticks = 20;
pub const silence_ticks = 300;

/// Seconds.
pub const timeout = struct {
    /// An answer for which no disk and no other node is needed.
    pub const local = 30;
    /// Includes stopping an older attempt on the other node.
    pub const offer = 60;
    /// A whole transfer; Alive notices a dead peer long before.
    pub const transfer = 30 * 24 * 3600;
    pub const chunk = 600;
    pub const disk = 600;
    pub const hash = 24 * 3600;
    pub const alive = 10;
};

pub const Kind = enum { Offline, Timeout, Refused, Changed, NotFound, Disk, Cancelled, Superseded, Other };
pub const State = enum {
    starting,
    sending,
    checking,
    done,
    failed,

    pub fn over(self: State) bool {
        return self == .done or self == .failed;
    }
};

/// `received`: bytes that the receiver holds and that need not be sent again.
pub const Failed = struct { reason: []const u8, kind: Kind, received: u64 = 0 };
pub const Done = struct { name: []const u8, bytes: u64, sent: u64, hash: []const u8, path: []const u8 };
pub const Send = struct { id: []const u8, path: []const u8, name: []const u8, to: []const u8 };
pub const Id = struct { id: []const u8 };
/// `modified`: nanoseconds since 1970.
pub const Offer = struct { id: []const u8, name: []const u8, size: u64, modified: i64, chunk: u32 };
/// `from`: the address of the sending worker.
pub const Receive = struct { offer: Offer, from: []const u8, partial: []const u8 };
pub const GiveUp = struct { kind: Kind, reason: []const u8, discard: bool = false };

/// Whose offers are accepted.
pub const Accept = union(enum) {
    all,
    none,
    nodes: []const []const u8,

    pub fn allows(self: Accept, node: []const u8) bool {
        switch (self) {
            .all => return true,
            .none => return false,
            .nodes => |nodes| {
                for (nodes) |allowed| if (std.mem.eql(u8, allowed, node)) return true;
                return false;
            },
        }
    }

    pub fn fromJson(scanner: *json.Scanner) json.Error!Accept {
        if (try scanner.peekNextTokenType() == .array_begin) {
            return .{ .nodes = try json.read([]const []const u8, scanner) };
        }
        return switch (try json.read(enum { all, none }, scanner)) {
            .all => .all,
            .none => .none,
        };
    }

    pub fn toJson(self: Accept, writer: *std.Io.Writer) json.WriteError!void {
        switch (self) {
            .all, .none => try json.write(@as([]const u8, @tagName(self)), writer),
            .nodes => |nodes| try json.write(nodes, writer),
        }
    }
};

pub const Policy = struct { accept: Accept = .all, max_size: ?u64 = null };

/// What a worker tells its main, which answers Status and List from it; complete, so that a restarted main learns all
/// of it again.
pub const Report = struct {
    id: []const u8,
    direction: enum { sending, receiving },
    peer: []const u8,
    name: []const u8,
    /// Of the file that the transfer writes; empty when sending.
    partial: []const u8 = "",
    state: State = .starting,
    bytes: u64 = 0,
    size: u64 = 0,
    resumed_from: u64 = 0,
};

/// Requests to main.
pub const ToMain = union(enum) {
    // From processes of this node.
    Send: Send,
    Status: Id,
    Cancel: Id,
    Policy: Policy,
    GetPolicy,
    List,
    // From other nodes.
    Offer: Offer,
    Alive: struct { worker: []const u8 },
    // From our own workers.
    Report: Report,
    /// Give `partial` its final name: main does it, one at a time, so that no two transfers choose the same.
    Store: struct { partial: []const u8, name: []const u8 },
};

/// Requests to a worker.
pub const ToWorker = union(enum) {
    // From main.
    Send: Send,
    Receive: Receive,
    /// The user wants no more of it.
    Cancel,
    /// A newer attempt waits for the partial file: answer when it is no longer written to.
    Stop,
    Alive,
    // From the worker on the other node.
    /// Look for the file under its name and the `after` next ones, then pull it.
    Begin: struct { after: u32 = 0 },
    /// `have`: bytes written so far.
    Chunk: struct { offset: u64, length: u32, have: u64 },
    Commit: struct { hash: [32]u8 },
    GiveUp: GiveUp,
};

/// Responses of main and of the workers.
pub const Answer = union(enum) {
    Ok,
    Err: []const u8,
    // To users.
    Done: Done,
    Failed: Failed,
    Status: struct { state: State, bytes: u64, size: u64, resumed_from: u64 },
    Policy: Policy,
    List: []const Listed,
    // To an Offer.
    Accepted: struct { have: u64 },
    Refused: struct { kind: Kind, reason: []const u8 },
    // To a Begin.
    Received: struct { hash: [32]u8 },
    /// There is already a file of that size; `next` is what to put into the next Begin if its hash is not the right
    /// one.
    Have: struct { hash: [32]u8, next: u32 },
    // To a Chunk.
    Read,
    // To a Commit or a Store.
    Stored: struct { name: []const u8, path: []const u8 },
    // To an Alive.
    Alive: struct { bytes: u64 },
    Gone,
    // To a Stop.
    Stopped,
};

pub const Listed = struct {
    id: []const u8,
    direction: @FieldType(Report, "direction"),
    peer: []const u8,
    name: []const u8,
    state: State,
    bytes: u64,
    size: u64,
    resumed_from: u64,
};

pub fn parseAnswer(body: []const u8) Answer {
    return json.parse(Answer, body) catch .{ .Err = "not understood" };
}

pub fn respond(answer: Answer) void {
    nectar.respond(.{ .body = nectar.json.stringify(answer) });
}

/// What a request was for, as its context. The numbers are those of a chunk.
pub const Context = extern struct {
    offset: u64 = 0,
    length: u32 = 0,
    purpose: Purpose,

    pub const Purpose = enum(u32) {
        idle,
        tick,
        alive,
        offer,
        begin,
        commit,
        hash,
        read,
        chunk,
        write,
        sync,
        have,
        stop,
        _,
    };

    pub fn of(comptime purpose: Purpose) []const u8 {
        return comptime std.mem.asBytes(&Context{ .purpose = purpose });
    }

    pub fn parse(bytes: ?[]const u8) ?Context {
        const some = bytes orelse return null;
        if (some.len != @sizeOf(Context)) return null;
        return std.mem.bytesToValue(Context, some[0..@sizeOf(Context)]);
    }
};

/// Have a tick delivered. Its outcome, whatever it is, puts back the prompt under which it was armed.
pub fn armTick() void {
    nectar.send(.{
        .target = timer,
        .body = std.fmt.comptimePrint("{{\"SetTimer\":{d}}}", .{tick_milliseconds}),
        .expects_response = timeout.local,
        .context = Context.of(.tick),
    });
}

const timer: nectar.Address = .local("timer:distro:sys");

/// Text from another node, fit for a terminal: short, and without control characters.
pub fn presentable(text: []const u8) []const u8 {
    const max_bytes = 400;
    var end = @min(text.len, max_bytes);
    // Not in the middle of a character.
    while (end < text.len and end > 0 and text[end] & 0xc0 == 0x80) end -= 1;
    const copy = nectar.arena().dupe(u8, text[0..end]) catch @panic("out of memory");
    for (copy) |*byte| if (std.ascii.isControl(byte.*)) {
        byte.* = '?';
    };
    return copy;
}

/// `… : 43% has arrived`, if anything has.
pub fn arrived(bytes: u64, size: u64) []const u8 {
    if (bytes == 0 or size == 0) return "";
    return nectar.format(": {d}% has arrived", .{@as(u128, bytes) * 100 / size});
}
