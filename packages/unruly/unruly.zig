//! A process that does everything wrong that one can with browsers. What it answers is said by the last part of a path:
//! twice, never, nonsense, an impossible status, or with its end. At `/flood` it sends a WebSocket more than may wait.
//! Others have it bind paths, `{"Bind": COUNT}`, or use channels that are not its own, `{"Push": COUNT}`; it answers how
//! many of them the server has taken.

const std = @import("std");
const nectar = @import("nectar");
const http = nectar.http;

const Body = union(enum) { Bind: u32, Push: u32 };

/// More than 32 MiB together.
const messages = 40;
const message_bytes = 1 << 20;

pub fn init(our: nectar.Address) !void {
    try http.bind("/", .{});
    try http.bindWebSocket("/flood", .{});
    while (true) switch (nectar.receive()) {
        .request => |request| if (http.parse(our, request)) |event| {
            if (!serve(event)) return;
        } else answer(request),
        .response, .send_error => {},
    };
}

/// Returns whether it goes on.
fn serve(event: http.Event) bool {
    switch (event) {
        .Http => |asked| return serveRequest(asked.url),
        .WebSocketOpen => |opened| flood(opened.channel_id),
        .WebSocketPush => |push| http.push(push.channel_id +% 1, .Text, "for somebody else"),
        .WebSocketClose => |channel| http.push(channel, .Text, "too late"),
    }
    return true;
}

fn flood(channel: u32) void {
    const bytes = nectar.arena().alloc(u8, message_bytes) catch return;
    @memset(bytes, 'x');
    for (0..messages) |_| http.push(channel, .Text, bytes);
}

fn serveRequest(url: []const u8) bool {
    if (std.mem.endsWith(u8, url, "/end")) return false;
    if (std.mem.endsWith(u8, url, "/never")) return true;
    if (std.mem.endsWith(u8, url, "/nonsense")) {
        nectar.respond(.{ .body = "[[[[" });
    } else if (std.mem.endsWith(u8, url, "/status")) {
        nectar.respond(.{ .body = "{\"status\":70000,\"headers\":{\"A B\":\"\\r\\n\"}}" });
    } else {
        http.respond(200, "text/plain", "once");
        http.respond(500, "text/plain", "twice");
    }
    return true;
}

fn answer(request: nectar.Request) void {
    switch (nectar.json.parse(Body, request.body) catch return) {
        .Bind => |count| {
            var bound: u32 = 0;
            for (0..count) |number| {
                if (http.bind(nectar.format("/a/{d}", .{number}), .{})) bound += 1 else |_| {}
                if (http.bindWebSocket(nectar.format("/a/{d}", .{number}), .{})) bound += 1 else |_| {}
            }
            nectar.respond(.{ .body = nectar.json.stringify(Body{ .Bind = bound }) });
        },
        .Push => |count| {
            var pushed: u32 = 0;
            for (1..count + 1) |channel| if (isTaken(@intCast(channel))) {
                pushed += 1;
            };
            nectar.respond(.{ .body = nectar.json.stringify(Body{ .Push = pushed }) });
        },
    }
}

fn isTaken(channel: u32) bool {
    const outcome = nectar.sendAndAwait(.{
        .target = nectar.Address.parse("our@http-server:distro:sys") catch unreachable,
        .body = nectar.format("{{\"WebSocketPush\":{{\"channel_id\":{d},\"message_type\":\"Text\"}}}}", .{channel}),
        .expects_response = 30,
        .blob = .{ .bytes = "for somebody else" },
    });
    return switch (outcome) {
        .response => |response| std.mem.indexOf(u8, response.body, "Ok") != null,
        .send_error => false,
    };
}
