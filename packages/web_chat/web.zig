//! Pages and WebSockets, by `http-server:distro:sys`.

const std = @import("std");
const nectar = @import("nectar");

/// The WebSockets that are open: a page in each of so many browsers.
pub var channels: std.ArrayList(u32) = .empty;

/// What the server tells of them.
pub const Event = union(enum) {
    WebSocketOpen: struct { path: []const u8, channel_id: u32 },
    /// The blob is what the page has sent.
    WebSocketPush: struct { channel_id: u32, message_type: enum { Text, Binary, Ping, Pong, Close } },
    WebSocketClose: u32,
};

const Bind = struct { path: []const u8, authenticated: bool = true, local_only: bool = false, cache: bool = true };
const SocketBind = struct { path: []const u8, authenticated: bool = true, extension: bool = false };
const Push = struct { channel_id: u32, message_type: enum { Text } = .Text };

const server: nectar.ProcessId = .{ .process = "http-server", .package = "distro", .publisher = "sys" };

/// Whether it is our own node's server that has sent something. Another node could claim to be one.
pub fn isServer(source: nectar.Address, our: nectar.Address) bool {
    return std.mem.eql(u8, source.node, our.node) and source.process.eql(server);
}

pub fn parse(body: []const u8) ?Event {
    return nectar.json.parse(Event, body) catch null;
}

/// Let the server answer with a page, without waking us, to whoever has signed in.
pub fn serve(path: []const u8, mime: []const u8, bytes: []const u8) void {
    ask(.{ .Bind = .{ .path = path } }, .{ .mime = mime, .bytes = bytes });
}

/// Let whoever has signed in open WebSockets.
pub fn serveSockets(path: []const u8) void {
    ask(.{ .WebSocketBind = .{ .path = path } }, null);
}

const Ask = union(enum) { Bind: Bind, WebSocketBind: SocketBind };

fn ask(what: Ask, blob: ?nectar.Blob) void {
    const answer = nectar.sendAndAwait(.{
        .target = .{ .node = "our", .process = server },
        .body = nectar.json.stringify(what),
        .expects_response = 10,
        .blob = blob,
    });
    const body = if (answer == .response) answer.response.body else "no answer";
    if (!std.mem.startsWith(u8, body, "{\"Ok\"")) nectar.print(0, "the pages cannot be served: {s}", .{body});
}

/// Send a text to a page. If it has gone, the server says so with a WebSocketClose.
pub fn push(channel: u32, text: []const u8) void {
    nectar.send(.{
        .target = .{ .node = "our", .process = server },
        .body = nectar.json.stringify(union(enum) { WebSocketPush: Push }{ .WebSocketPush = .{ .channel_id = channel } }),
        .blob = .{ .bytes = text },
    });
}

pub fn forget(channel: u32) void {
    for (channels.items, 0..) |each, place| if (each == channel) {
        _ = channels.swapRemove(place);
        return;
    };
}
