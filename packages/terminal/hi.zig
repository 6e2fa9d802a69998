//! `hi NODE TEXT…`: says something to another node, whose user sees it, and waits for the node to confirm it.

const std = @import("std");
const nectar = @import("nectar");
const script = @import("script.zig");

const seconds = 5;

pub fn init(our: nectar.Address) void {
    const node, const text = script.split(script.arguments());
    if (text.len == 0) return script.fail("hi needs a node and a text, such as: hi other.nec how are you?", .{});
    if (!script.isNode(node)) return script.fail("{s} is not a node's name, such as other.nec.", .{node});
    if (std.mem.eql(u8, node, our.node)) return script.fail("{s} is this very node: say hi to another one.", .{node});
    switch (nectar.sendAndAwait(.{
        .target = .{ .node = node, .process = nectar.Address.local("net:distro:sys").process },
        .body = text,
        .expects_response = seconds,
    })) {
        .response => |response| if (std.mem.eql(u8, response.body, "ack"))
            script.answer("ack from {s}", .{node})
        else
            script.answer("{s} answers: {s}", .{ node, response.body }),
        .send_error => |failed| switch (failed.kind) {
            .offline => script.failAs(.offline, "{s} is offline.", .{node}),
            .timeout => script.failAs(.timeout, "{s} did not answer within {d} seconds.", .{ node, seconds }),
        },
    }
}
