//! A chat with a page: people type in browsers, the page and this process talk over a WebSocket, and the processes of two
//! nodes by messages.
//!
//!     browser                             this process                       web_chat of two.nec
//!     {"Say":{"to":"two.nec","text":"Hi"}}  →
//!                  ←  {"Line":{…,"state":"Sent"}}
//!                                         {"Line":{"number":1,"text":"Hi"}}  →
//!                                                                            ←  "Heard"
//!                  ←  {"Line":{…,"state":"Heard"}}
//!
//! A line that did not get there is shown as Offline, or Timeout if nobody knows whether it did. {"Again":1} sends it
//! once more, under the number that it had: whoever has heard it already answers and does not show it twice. Lines are
//! saved before anybody is told of them, so both ends of a conversation outlive a crash.
//!
//! To see it: `nectar start web_chat` on two nodes that were booted with `--http 0`, then
//! `nectar open web_chat --node one.nec`. It is on the node's homepage, too.

const std = @import("std");
const nectar = @import("nectar");
const kept = @import("lines.zig");

const allocator = nectar.allocator;
const http = nectar.http;

/// Seconds for a line to another node: long enough to learn that it is Offline.
const patience = 30;
const max_name_bytes = 253;
const max_text_bytes = 1000;

/// What a page sends.
const Order = union(enum) {
    Say: struct { to: []const u8, text: []const u8 },
    Again: u64,
};

/// What a page is told.
const News = union(enum) {
    /// First of all: who we are, and all that has been said.
    Hello: struct { node: []const u8, lines: []const kept.Line },
    /// A line that is new, or has another state.
    Line: kept.Line,
    Err: []const u8,
};

/// What goes between nodes. Whose it is is not in it: the kernel knows.
const Ask = union(enum) { Line: struct { number: u64, text: []const u8 } };
const Answer = union(enum) { Heard, Err: []const u8 };

var our: nectar.Address = undefined;

/// The WebSockets that are open: one for each page that somebody looks at.
var channels: std.ArrayList(u32) = .empty;

pub fn init(address: nectar.Address) !void {
    our = address;
    try kept.load();
    try serve("/", "text/html; charset=utf-8", @embedFile("page.html"));
    try serve("/page.css", "text/css", @embedFile("page.css"));
    try serve("/page.js", "text/javascript", @embedFile("page.js"));
    try http.bindWebSocket("/lines", .{ .authenticated = true });
    beOnHomepage();
    for (kept.all()) |line| if (line.state == .Sent) settle(line.id, .Timeout); // by an earlier life of ours
    while (true) switch (nectar.receive()) {
        .request => |request| if (http.parse(our, request)) |event| {
            try browser(event);
        } else if (request.wantsAnswer()) try hear(request),
        // What comes back with an outcome is the id of the line.
        .response => |response| settle(idOf(response.context), if (isHeard(response.body)) .Heard else .Refused),
        .send_error => |failed| if (failed.of_request) {
            settle(idOf(failed.context), if (failed.kind == .offline) .Offline else .Timeout);
        },
    };
}

// --- browsers

/// Let the node serve a page to whoever has signed in, without waking us.
fn serve(path: []const u8, mime: []const u8, bytes: []const u8) !void {
    try http.serve(path, .{ .mime = mime, .bytes = bytes }, .{ .authenticated = true });
}

/// Put an entry on the node's homepage. It need not be there, so nobody waits for its answer.
fn beOnHomepage() void {
    const entry = .{ .label = "Chat", .path = "/" };
    nectar.send(.{ .target = .local("homepage:homepage:sys"), .body = nectar.json.stringify(.{ .Add = entry }) });
}

fn browser(event: http.Event) !void {
    switch (event) {
        .Http => http.respond(404, "text/plain", "There is no such page.\n"),
        .WebSocketOpen => |opened| {
            try channels.append(allocator, opened.channel_id);
            tell(opened.channel_id, .{ .Hello = .{ .node = our.node, .lines = kept.all() } });
        },
        .WebSocketPush => |pushed| {
            if (pushed.message_type != .Text) return;
            const blob = nectar.getBlob() orelse return;
            if (try obey(blob.bytes)) |wrong| tell(pushed.channel_id, .{ .Err = wrong });
        },
        .WebSocketClose => |closed| for (channels.items, 0..) |channel, place| if (channel == closed) {
            _ = channels.swapRemove(place);
            return;
        },
    }
}

/// Do what a page wants; returns why not, if it cannot be.
fn obey(order: []const u8) !?[]const u8 {
    switch (nectar.json.parse(Order, order) catch return "That is no order that this chat knows.") {
        .Say => |say| {
            if (say.to.len == 0 or say.to.len > max_name_bytes) return "Say the name of a node, such as two.nec.";
            if (std.mem.eql(u8, say.to, our.node)) return "That is this node itself: name another one.";
            if (say.text.len == 0 or say.text.len > max_text_bytes) return "A line has 1 to 1,000 bytes.";
            send(try kept.add(say.to, true, kept.next(), say.text, .Sent));
        },
        .Again => |id| {
            const line = kept.find(id) orelse return "That line is not kept any more.";
            if (!line.mine or line.state == .Sent or line.state == .Heard) return "That line is not one to send again.";
            kept.change(line, .Sent);
            send(line.*);
        },
    }
    return null;
}

fn tell(channel: u32, news: News) void {
    http.push(channel, .Text, nectar.json.stringify(news));
}

fn tellAll(line: kept.Line) void {
    for (channels.items) |channel| tell(channel, .{ .Line = line });
}

// --- other nodes

fn send(line: kept.Line) void {
    tellAll(line);
    nectar.send(.{
        .target = .{ .node = line.node, .process = our.process },
        .body = nectar.json.stringify(Ask{ .Line = .{ .number = line.number, .text = line.text } }),
        .expects_response = patience,
        .context = nectar.json.stringify(line.id),
    });
}

fn settle(id: u64, state: kept.State) void {
    const line = kept.find(id) orelse return; // so many have come since that it is not kept
    kept.change(line, state);
    tellAll(line.*);
}

fn idOf(context: ?[]const u8) u64 {
    return nectar.json.parse(u64, context.?) catch unreachable; // we have written it
}

fn isHeard(body: []const u8) bool {
    return (nectar.json.parse(Answer, body) catch return false) == .Heard;
}

fn hear(request: nectar.Request) !void {
    const line = (nectar.json.parse(Ask, request.body) catch return reply(.{ .Err = "expected a Line" })).Line;
    if (std.mem.eql(u8, request.source.node, our.node)) return reply(.{ .Err = "lines come from other nodes" });
    if (line.text.len == 0 or line.text.len > max_text_bytes) return reply(.{ .Err = "a line has 1 to 1,000 bytes" });
    if (!kept.has(request.source.node, line.number)) {
        tellAll(try kept.add(request.source.node, false, line.number, line.text, .Heard));
    }
    reply(.Heard);
}

fn reply(answer: Answer) void {
    nectar.respond(.{ .body = nectar.json.stringify(answer) });
}
