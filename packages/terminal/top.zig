//! `top` shows the processes of this node as a table, `top PROCESS` one of them with all that it may do.

const std = @import("std");
const nectar = @import("nectar");
const script = @import("script.zig");

const Question = union(enum) { Debug: union(enum) { ProcessMap, Process: []const u8 } };

const Reply = union(enum) {
    Debug: union(enum) { ProcessMap: nectar.json.Raw, Process: ?Process },
    Err: nectar.json.Raw,
};

const Process = struct {
    state: []const u8,
    messages: u64,
    inbox: u64,
    restarts: u64,
    public: bool,
    on_exit: OnExit,
    capabilities: []const Capability,
};

const OnExit = union(enum) { None, Restart, Requests: []const nectar.json.Raw };

const Capability = struct { issuer: []const u8, params: []const u8 };

const Row = struct { id: []const u8, process: Process };

pub fn init(our: nectar.Address) void {
    const id = script.arguments();
    if (id.len == 0) return showAll();
    _ = nectar.ProcessId.parse(id) catch return script.fail("{s} is not a process, such as hello:hello:sys.", .{id});
    const reply = ask(.{ .Debug = .{ .Process = id } }) orelse return;
    if (reply.Debug != .Process) return confused();
    const process = reply.Debug.Process orelse return script.fail("{s} does not run on {s}.", .{ id, our.node });
    show(.{ .id = id, .process = process }) catch @panic("out of memory");
}

fn showAll() void {
    const reply = ask(.{ .Debug = .ProcessMap }) orelse return;
    if (reply.Debug != .ProcessMap) return confused();
    const rows = read(reply.Debug.ProcessMap.text) catch return confused();
    table(rows) catch @panic("out of memory");
}

/// The entries of an object with a process behind each id.
fn read(object: []const u8) nectar.json.Error![]const Row {
    var rows: std.ArrayList(Row) = .empty;
    var scanner: nectar.json.Scanner = .initCompleteInput(nectar.arena(), object);
    if (try scanner.next() != .object_begin) return error.Unexpected;
    while (try scanner.peekNextTokenType() != .object_end) {
        const id = try nectar.json.read([]const u8, &scanner);
        try rows.append(nectar.arena(), .{ .id = id, .process = try nectar.json.read(Process, &scanner) });
    }
    return rows.items;
}

fn table(rows: []const Row) !void {
    var width: usize = "PROCESS".len;
    for (rows) |row| width = @max(width, row.id.len);
    var text: std.ArrayList(u8) = .empty;
    try cell(&text, width, "PROCESS");
    try text.appendSlice(nectar.arena(), "MESSAGES  INBOX  RESTARTS  STATE");
    for (rows) |row| {
        const process = row.process;
        try text.append(nectar.arena(), '\n');
        try cell(&text, width, row.id);
        const figures = .{ process.messages, process.inbox, process.restarts, process.state };
        try text.print(nectar.arena(), "{d: >8}  {d: >5}  {d: >8}  {s}", figures);
    }
    nectar.respond(.{ .body = text.items });
}

fn cell(text: *std.ArrayList(u8), width: usize, content: []const u8) !void {
    try text.appendSlice(nectar.arena(), content);
    try text.appendNTimes(nectar.arena(), ' ', width - content.len + 2);
}

fn show(row: Row) !void {
    const process = row.process;
    var text: std.ArrayList(u8) = .empty;
    try text.print(nectar.arena(), "{s} is {s}\n", .{ row.id, process.state });
    const figures = .{ process.messages, process.inbox, process.restarts };
    try text.print(nectar.arena(), "messages: {d}\ninbox: {d}\nrestarts: {d}\n", figures);
    try text.print(nectar.arena(), "public: {s}\non exit: {s}", .{ yesNo(process.public), onExit(process) });
    for (process.capabilities) |each| {
        try text.print(nectar.arena(), "\nholds: {s} {s}", .{ each.issuer, each.params });
    }
    nectar.respond(.{ .body = text.items });
}

fn yesNo(value: bool) []const u8 {
    return if (value) "yes" else "no";
}

fn onExit(process: Process) []const u8 {
    return switch (process.on_exit) {
        .None => "none",
        .Restart => "restart",
        .Requests => |requests| nectar.format("{d} requests", .{requests.len}),
    };
}

/// What the kernel says; null: it has been reported why it says nothing.
fn ask(question: Question) ?Reply {
    const body = script.ask(.local("kernel:distro:sys"), question) orelse {
        script.fail("the kernel does not answer.", .{});
        return null;
    };
    const reply = nectar.json.parse(Reply, body) catch {
        confused();
        return null;
    };
    if (reply != .Err) return reply;
    script.fail("the kernel says: {s}", .{reply.Err.text});
    return null;
}

fn confused() void {
    script.fail("the kernel gave an answer that makes no sense.", .{});
}
