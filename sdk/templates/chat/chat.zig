//! Lines between nodes.
//!
//!     {"Say":{"to":"two.nec","text":"Hi"}}  →  "Heard", or {"Missed":"Offline"} if it did not get there
//!     "Lines"  →  {"Lines":[{"node":"one.nec","text":"Hi"}]}      what this node has heard, the last 100
//!
//! {"Missed":"Timeout"} means that nobody knows: the line may have been heard, and the word of it was lost.

const std = @import("std");
const nectar = @import("nectar");

const Ask = union(enum) {
    Say: struct { to: []const u8, text: []const u8 },
    Lines,
    /// From this process on another node. Who says it is not in it: the kernel knows.
    Line: []const u8,
};
const Answer = union(enum) { Heard, Missed: []const u8, Lines: []const Line, Err: []const u8 };
const Line = struct { node: []const u8, text: []const u8 };

const max_lines = 100;
/// Seconds for a line to another node: long enough to learn that it is Offline.
const patience = 30;

var our: nectar.Address = undefined;
var lines: std.ArrayList(Line) = .empty;

pub fn init(address: nectar.Address) !void {
    our = address;
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) try handle(request),
        // An outcome puts back the message under which the line was sent: `reply` goes to whoever said it.
        .response => |response| nectar.respond(.{ .body = response.body }),
        .send_error => |failed| if (failed.of_request) {
            reply(.{ .Missed = if (failed.kind == .offline) "Offline" else "Timeout" });
        },
    };
}

fn handle(request: nectar.Request) !void {
    switch (nectar.json.parse(Ask, request.body) catch return reply(.{ .Err = "not a Say, a Line or \"Lines\"" })) {
        .Say => |say| {
            if (!std.mem.eql(u8, request.source.node, our.node)) return reply(.{ .Err = "only this node may say that" });
            nectar.send(.{
                .target = .{ .node = say.to, .process = our.process },
                .body = nectar.json.stringify(Ask{ .Line = say.text }),
                .expects_response = patience,
            });
        },
        .Lines => reply(.{ .Lines = lines.items }),
        .Line => |text| {
            if (lines.items.len == max_lines) {
                const oldest = lines.orderedRemove(0);
                nectar.allocator.free(oldest.node);
                nectar.allocator.free(oldest.text);
            }
            const node = try nectar.allocator.dupe(u8, request.source.node);
            try lines.append(nectar.allocator, .{ .node = node, .text = try nectar.allocator.dupe(u8, text) });
            reply(.Heard);
        },
    }
}

fn reply(answer: Answer) void {
    nectar.respond(.{ .body = nectar.json.stringify(answer) });
}
