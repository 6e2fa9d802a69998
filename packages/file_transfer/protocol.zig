//! What main, the sending worker and the receiving worker say to each other, and what users of the node say to main.
//!
//!     user ── Send ──▶ main ── Send (inherits) ──▶ sending worker
//!     sending worker ── Offer, or OfferFolder ──▶ main of the other node ── Receive (inherits) ──▶ receiving worker
//!         the receiving worker answers Accepted or Refused, and so makes itself known
//!     sending worker ── Begin ──▶ receiving worker
//!         receiving worker ── Chunk ──▶ sending worker, which answers Read, the bytes in the blob
//!         the receiving worker answers, when it has all, Received, or before that Have or Failed
//!     sending worker ── Commit ──▶ receiving worker, which answers Stored or Failed
//!     sending worker ── Alive ──▶ main of the other node ── Alive (inherits) ──▶ receiving worker
//!     the sending worker answers the user's Send: Done or Failed
//!
//! A folder goes as one file, the packed one (PackedMetadata and so on of the vfs): nothing else is different until it
//! has come whole. Then the receiving worker makes a folder of it. Nodes from before that do not understand OfferFolder.
//!
//! A Refused or GiveUp with `again` is not the end: the sender waits for so many seconds and offers the file again. So
//! does one whose user is asked first, or that finds no place free. Nodes from before that take it for the end, and
//! its reason tells their user to run the same command again.
//!
//! Alive goes by way of main because messages between two processes keep their order: sent to the worker itself it
//! would wait behind megabytes of chunks. Either worker ends the transfer with GiveUp, which wants no answer.

const std = @import("std");
const nectar = @import("nectar");

const json = nectar.json;

/// Bytes of a chunk, at most: large enough that a message costs nothing beside its bytes, small enough to share a
/// connection.
pub const chunk_bytes = 4 << 20;
/// What a receiver asks for at least: it would be kept busy by files that come byte by byte.
pub const min_chunk_bytes = 64 << 10;
/// Bytes that are asked for, or received and not yet written: the memory of a transfer. They begin in the middle, grow
/// with each chunk that comes quickly, and shrink with one that comes slowly, so that something arrives every few
/// seconds however slow the way is: who gets on is told by that from who does not.
pub const window = struct {
    pub const least = min_chunk_bytes;
    pub const first = 1 << 20;
    pub const most = 4 * chunk_bytes;
    /// Chunks in it, until it is full of the largest.
    pub const chunks = 4;
    pub const quick_ticks = 10;
    pub const slow_ticks = 30;
};
/// Chunks that a sender reads at once for a receiver, which may be somebody else's program.
pub const max_reads = 64;
pub const max_chunk_bytes = 4 << 20;

pub const tick_milliseconds = 100;
pub const alive_every_ticks = 20;
/// Alive is behind what is under way, which a slow link takes a minute for.
pub const silence_ticks = 1800;

/// Seconds until an offer is made again: to one whose user is asked, to one who has no place free now.
pub const again_asked = 2;
pub const again_busy = 5;
/// What a sender waits at most, whatever the other node says.
pub const max_again = 60;

/// Seconds.
pub const timeout = struct {
    /// An answer for which no disk and no other node is needed.
    pub const local = 30;
    /// Includes stopping an older attempt on the other node.
    pub const offer = 60;
    /// A whole transfer; Alive notices a dead peer long before.
    pub const transfer = 30 * 24 * 3600;
    /// The first window over a link of 150 bytes a second; a dead peer is noticed long before.
    pub const chunk = 7200;
    pub const disk = 600;
    pub const hash = 24 * 3600;
    /// What is under way before it, over a link of 300 bytes a second; a dead peer is noticed long before.
    pub const alive = 120;
};

pub const Kind = enum { Offline, Timeout, Refused, Changed, NotFound, Disk, Cancelled, Superseded, Other };

/// What vfs says is wrong.
pub fn kindOf(kind: nectar.vfs.Kind) Kind {
    return switch (kind) {
        inline else => |known| @field(Kind, @tagName(known)),
    };
}
pub const State = enum {
    starting,
    /// Until the offer may be made again.
    waiting,
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
/// `files`: of a folder, how many are in it; `left_out`: what of it was not sent, in words.
pub const Done = struct {
    name: []const u8,
    bytes: u64,
    sent: u64,
    hash: []const u8,
    path: []const u8,
    files: u64 = 0,
    left_out: []const u8 = "",
};
/// `folder`: whether there is a folder at `path`.
pub const Send = struct { id: []const u8, path: []const u8, name: []const u8, to: []const u8, folder: bool = false };
pub const Id = struct { id: []const u8 };
/// `modified`: nanoseconds since 1970; of a folder, the version of the packed one. `entries`: of a folder, how many files
/// and folders are in it, itself included.
pub const Offer = struct { id: []const u8, name: []const u8, size: u64, modified: i64, chunk: u32, entries: u64 = 0 };
/// `from`: the address of the sending worker.
pub const Receive = struct { offer: Offer, from: []const u8, partial: []const u8 };
/// `again`: seconds after which the transfer may go on with a new offer; 0: it is over.
pub const GiveUp = struct { kind: Kind, reason: []const u8, discard: bool = false, again: u32 = 0 };
/// `again`: seconds after which the offer may be made again; 0: it is over. `note`: what the sender waits for.
pub const Refused = struct { kind: Kind, reason: []const u8, again: u32 = 0, note: []const u8 = "" };

/// Whose offers are accepted.
pub const Accept = union(enum) {
    all,
    none,
    ask,
    /// None but those: how it was said before there was `Policy.from`.
    nodes: []const []const u8,

    pub fn fromJson(scanner: *json.Scanner) json.Error!Accept {
        if (try scanner.peekNextTokenType() == .array_begin) {
            return .{ .nodes = try json.read([]const []const u8, scanner) };
        }
        return switch (try json.read(enum { all, none, ask }, scanner)) {
            .all => .all,
            .none => .none,
            .ask => .ask,
        };
    }

    pub fn toJson(self: Accept, writer: *std.Io.Writer) json.WriteError!void {
        switch (self) {
            .all, .none, .ask => try json.write(@as([]const u8, @tagName(self)), writer),
            .nodes => |nodes| try json.write(nodes, writer),
        }
    }
};

/// What the user of a node lets in.
pub const Policy = struct {
    /// 0: saved before files had a greatest size unless the user gave one.
    version: u32 = 0,
    /// What becomes of offers from all nodes that are not in `from`.
    accept: Accept = .all,
    /// Nodes whose offers are accepted in any case. Their names are proven.
    from: []const []const u8 = &.{},
    /// Bytes of one file; null: as many as there is room for.
    max_size: ?u64 = default_max_size,
    /// Bytes of all files in the inbox, those that are still coming with what they will have; null: no limit.
    max_total: ?u64 = null,
    /// Files in the inbox, counted the same way.
    max_files: ?u64 = null,

    pub const current_version = 1;
    pub const default_max_size = 64 << 30;
};

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
    /// A receiver's: it is at work itself, and waits for nothing from the sender.
    busy: bool = false,
    /// What a sender waits for.
    note: []const u8 = "",
    /// A sender's: files of a folder that have come whole, and all of them.
    files: u64 = 0,
    of_files: u64 = 0,
};

/// Requests to main.
pub const ToMain = union(enum) {
    // From processes of this node.
    Send: Send,
    Status: Id,
    Cancel: Id,
    List,
    // From the node's user.
    Policy: Policy,
    GetPolicy,
    /// The offers about which the user is asked.
    Offers,
    /// Take or refuse one of them: its number, or the name of its file if it is the only one of that name.
    Accept: Id,
    Refuse: Id,
    // From other nodes.
    Offer: Offer,
    OfferFolder: Offer,
    Alive: struct { worker: []const u8 },
    // From our own workers.
    Report: Report,
    /// It is no more, however that came.
    Ended,
    /// Give `partial` its final name: main does it, one at a time, so that no two transfers choose the same.
    /// With `folder` it is what was unpacked of it.
    Store: struct { partial: []const u8, name: []const u8, folder: bool = false },
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
    /// Its place is needed for another transfer.
    Displace: struct { reason: []const u8 },
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
    Status: struct {
        state: State,
        bytes: u64,
        size: u64,
        resumed_from: u64,
        note: []const u8,
        files: u64,
        of_files: u64,
    },
    Policy: Policy,
    Offers: []const Offered,
    List: []const Listed,
    // To an Offer.
    Accepted: struct { have: u64 },
    Refused: Refused,
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

/// An offer about which the user is asked, or was.
pub const Offered = struct {
    id: u64,
    peer: []const u8,
    name: []const u8,
    size: u64,
    verdict: Verdict,
    /// Seconds since the sender last asked: it does so every `again_asked` seconds while it waits.
    silent: u64,
};

pub const Verdict = enum { pending, accepted, refused };

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

/// What a request was for, as its context. The numbers are those of a chunk, or the attempt's as `offset`.
pub const Context = extern struct {
    offset: u64 = 0,
    length: u32 = 0,
    /// The tick in which it was asked for.
    asked: u32 = 0,
    purpose: Purpose,
    unused: u32 = 0,

    pub const Purpose = enum(u32) {
        idle,
        tick,
        sweep,
        aging,
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
        unpack,
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
    arm(tick_milliseconds, .tick);
}

/// The same of another length and purpose.
pub fn arm(comptime milliseconds: u32, comptime purpose: Context.Purpose) void {
    nectar.send(.{
        .target = timer,
        .body = std.fmt.comptimePrint("{{\"SetTimer\":{d}}}", .{milliseconds}),
        .expects_response = 2 * timeout.local + milliseconds / 1000, // a longer timer is not started
        .context = Context.of(purpose),
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

/// A number of bytes for people: 1536 is `1.5 KiB`.
pub fn shownBytes(count: u64) []const u8 {
    const units = [_][]const u8{ "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    var unit: usize = 0;
    var shift: u6 = 0;
    while (unit + 1 < units.len and count >> shift >= 1024) : (unit += 1) shift += 10;
    if (unit == 0) return nectar.format("{d} B", .{count});
    const tenths = @as(u128, count) * 10 >> shift;
    return nectar.format("{d}.{d} {s}", .{ tenths / 10, tenths % 10, units[unit] });
}

/// `… : 43% has arrived`, if anything has.
pub fn arrived(bytes: u64, size: u64) []const u8 {
    if (bytes == 0 or size == 0) return "";
    return nectar.format(": {d}% has arrived", .{@as(u128, bytes) * 100 / size});
}
