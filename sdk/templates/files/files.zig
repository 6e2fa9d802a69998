//! Notes as files, which other nodes may read.
//!
//!     {"Write":{"name":"a","text":"x"}}  →  "Written"      on this node alone; it is on the disk then
//!     {"Read":"a"}  →  {"Text":"x"} or "Missing"           from any node

const std = @import("std");
const nectar = @import("nectar");
const vfs = nectar.vfs;

const Ask = union(enum) { Write: struct { name: []const u8, text: []const u8 }, Read: []const u8 };
const Answer = union(enum) { Written, Text: []const u8, Missing, Err: []const u8 };

var our: nectar.Address = undefined;

pub fn init(address: nectar.Address) !void {
    our = address;
    try vfs.createDrive(vfs.drive(our, "notes"));
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) reply(handle(request)),
        .response, .send_error => {},
    };
}

fn handle(request: nectar.Request) Answer {
    switch (nectar.json.parse(Ask, request.body) catch return .{ .Err = "not a Write or a Read" }) {
        .Write => |note| {
            if (!std.mem.eql(u8, request.source.node, our.node)) return .{ .Err = "only this node may write" };
            const path = find(note.name) orelse return .{ .Err = "a name is letters, digits, - and _" };
            vfs.write(path, note.text) catch return .{ .Err = "the disk does not take it" };
            if (vfs.ask(path, .SyncAll) != .Ok) return .{ .Err = "the disk does not keep it" };
            return .Written;
        },
        .Read => |name| {
            const path = find(name) orelse return .{ .Err = "a name is letters, digits, - and _" };
            const text = vfs.read(path) catch |err| return if (err == error.NotFound) .Missing else .{ .Err = "the disk does not give it" };
            return .{ .Text = text };
        },
    }
}

/// The path of a note. What others say is no path: it could lead anywhere.
fn find(name: []const u8) ?[]const u8 {
    if (name.len == 0 or name.len > 100) return null;
    for (name) |c| if (!std.ascii.isAlphanumeric(c) and c != '-' and c != '_') return null;
    return nectar.format("{s}/{s}.txt", .{ vfs.drive(our, "notes"), name });
}

fn reply(answer: Answer) void {
    nectar.respond(.{ .body = nectar.json.stringify(answer) });
}
