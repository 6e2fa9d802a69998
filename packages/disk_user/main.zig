//! Does with its package's drives what it is told, for scenarios that crowd a disk: a request to vfs is passed on as it
//! is, and its answer passed back. Any number of them may wait for the disk at a time.
//!
//!     {"Ask":{"body":REQUEST,"seconds":5,"bytes":1000}}  →  what vfs answers, or {"Failed":{"kind":"Timeout"}}
//!
//! With `bytes`, so many zeros go with it as its blob.

const nectar = @import("nectar");

const Ask = union(enum) {
    Ask: struct { body: nectar.json.Raw, seconds: u64, bytes: u32 = 0 },
};

const Failure = union(enum) {
    Failed: struct { kind: enum { Offline, Timeout } },
    Err: []const u8,
};

const vfs: nectar.ProcessId = .{ .process = "vfs", .package = "distro", .publisher = "sys" };
const zeros: [1 << 16]u8 = @splat(0);

pub fn init(_: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) pass(request.body),
        // A response or an error puts back the prompt: the answer goes to whoever sent the Ask.
        .response => |response| nectar.respond(.{ .body = response.body }),
        .send_error => |failed| reply(.{ .Failed = .{ .kind = if (failed.kind == .offline) .Offline else .Timeout } }),
    };
}

fn pass(body: []const u8) void {
    const ask = (nectar.json.parse(Ask, body) catch return reply(.{ .Err = "not an Ask" })).Ask;
    if (ask.bytes > zeros.len) return reply(.{ .Err = "at most 65536 bytes" });
    nectar.send(.{
        .target = .{ .node = "our", .process = vfs },
        .body = ask.body.text,
        .expects_response = ask.seconds,
        .blob = if (ask.bytes > 0) .{ .bytes = zeros[0..ask.bytes] } else null,
    });
}

fn reply(failure: Failure) void {
    nectar.respond(.{ .body = nectar.json.stringify(failure) });
}
