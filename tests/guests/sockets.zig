//! A process with WebSockets, which sends back what comes. A text that begins with "!" is an order: "!close", "!end",
//! "!ping", "!sleep SECONDS" (and take nothing meanwhile), "!flood COUNT SIZE" (send so much at once). The user's "Seen"
//! is answered with what it has seen, `{"Tell": {"to", "body", "blob"}}` with the answer to that.

const std = @import("std");
const nectar = @import("nectar");
const http = nectar.http;

const Command = union(enum) {
    Seen,
    Tell: struct { to: []const u8, body: []const u8, blob: ?[]const u8 = null },
};

var seen: std.ArrayList(u8) = .empty;

pub fn init(our: nectar.Address) !void {
    try http.bindWebSocket("/live", .{});
    try http.bindWebSocket("/rooms/:id", .{});
    try http.bindWebSocket("/mine", .{ .authenticated = true });
    try http.bindWebSocket("/extension", .{ .extension = true });
    while (true) switch (nectar.receive()) {
        .request => |request| if (!handle(our, request)) return,
        .response => |response| note("answer {s}", .{response.body}),
        .send_error => |failed| note("failed {t}", .{failed.kind}),
    };
}

/// Returns whether it goes on.
fn handle(our: nectar.Address, request: nectar.Request) bool {
    const event = http.parse(our, request) orelse {
        switch (nectar.json.parse(Command, request.body) catch return true) {
            .Seen => nectar.respond(.{ .body = seen.items }),
            .Tell => |tell| tellOther(tell),
        }
        return true;
    };
    switch (event) {
        .Http => {},
        .WebSocketOpen => |open| note("open {d} {s}", .{ open.channel_id, open.path }),
        .WebSocketClose => |channel| note("close {d}", .{channel}),
        .WebSocketPush => |push| return handlePush(push.channel_id, push.message_type),
    }
    return true;
}

fn handlePush(channel: u32, kind: http.MessageType) bool {
    const bytes = if (nectar.getBlob()) |blob| blob.bytes else "";
    if (kind != .Text and kind != .Binary) {
        note("{t} {d} {s}", .{ kind, channel, bytes });
        return true;
    }
    if (kind == .Text and std.mem.startsWith(u8, bytes, "!")) return obey(channel, bytes[1..]);
    http.push(channel, kind, bytes);
    return true;
}

fn obey(channel: u32, order: []const u8) bool {
    var words = std.mem.splitScalar(u8, order, ' ');
    const name = words.first();
    if (std.mem.eql(u8, name, "end")) return false;
    if (std.mem.eql(u8, name, "close")) http.close(channel);
    if (std.mem.eql(u8, name, "ping")) http.push(channel, .Ping, "from the process");
    if (std.mem.eql(u8, name, "sleep")) sleep(number(words.next()));
    if (std.mem.eql(u8, name, "flood")) {
        const count = number(words.next());
        const bytes = nectar.arena().alloc(u8, number(words.next())) catch return true;
        @memset(bytes, 'x');
        for (0..count) |_| http.push(channel, .Binary, bytes);
    }
    return true;
}

fn sleep(seconds: usize) void {
    _ = nectar.sendAndAwait(.{
        .target = nectar.Address.parse("our@timer:distro:sys") catch return,
        .body = nectar.format("{{\"SetTimer\":{d}}}", .{seconds * 1000}),
        .expects_response = seconds + 10,
    });
}

fn number(text: ?[]const u8) usize {
    return std.fmt.parseInt(usize, text orelse "0", 10) catch 0;
}

fn tellOther(tell: anytype) void {
    const answer = nectar.sendAndAwait(.{
        .target = nectar.Address.parse(tell.to) catch return,
        .body = tell.body,
        .expects_response = 10,
        .blob = if (tell.blob) |bytes| .{ .bytes = bytes } else null,
    });
    switch (answer) {
        .response => |response| nectar.respond(.{ .body = response.body, .blob = nectar.getBlob() }),
        .send_error => nectar.respond(.{ .body = "\"failed\"" }),
    }
}

/// Remember a line.
fn note(comptime template: []const u8, args: anytype) void {
    seen.appendSlice(nectar.allocator, nectar.format(template ++ "\n", args)) catch {};
}
