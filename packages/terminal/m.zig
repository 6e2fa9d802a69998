//! `m ADDRESS BODY [-a SECONDS]`: sends a request to any process of any node; with -a it awaits the response, and
//! answers with that one's body and blob. ADDRESS is `node@process:package:publisher`, or a process of this node; BODY
//! may stand between single quotes.

const std = @import("std");
const nectar = @import("nectar");
const script = @import("script.zig");

const usage = "m needs an address and a body, such as: m our@hello:hello:sys {{\"Greet\":\"Ada\"}} -a 5";

pub fn init(our: nectar.Address) void {
    const word, const rest = script.split(script.arguments());
    if (word.len == 0) return script.fail(usage, .{});
    const target = parseTarget(word) orelse
        return script.fail("{s} is no address, such as other.nec@hello:hello:sys or hello:hello:sys.", .{word});
    const body, const seconds = parse(rest) catch
        return script.fail("-a needs the number of seconds to wait for the answer, such as: -a 5", .{});
    if (body.len == 0 and seconds == null) return script.fail(usage, .{});
    const request: nectar.Outgoing = .{ .target = target, .body = body, .expects_response = seconds };
    if (seconds == null) {
        nectar.send(request);
        return script.answer("sent to {f}", .{target});
    }
    switch (nectar.sendAndAwait(request)) {
        .response => |response| nectar.respond(.{ .body = response.body, .metadata = response.metadata, .inherit = true }),
        .send_error => |failed| report(failed.kind, target, our, seconds.?),
    }
}

fn parseTarget(word: []const u8) ?nectar.Address {
    const address = nectar.Address.parse(word) catch
        nectar.Address{ .node = "our", .process = nectar.ProcessId.parse(word) catch return null };
    const local = std.mem.eql(u8, address.node, "our");
    return if (local or script.isNode(address.node)) address else null;
}

/// The body, and the seconds of a trailing -a.
fn parse(text: []const u8) error{NoNumber}!struct { []const u8, ?u64 } {
    const option = if (std.mem.startsWith(u8, text, "-a"))
        0
    else
        1 + (std.mem.lastIndexOf(u8, text, " -a") orelse return .{ unquoted(text), null });
    const name, const number = script.split(text[option..]);
    // A body may well contain " -a" without meaning us.
    if (name.len > 2 or std.mem.indexOfAny(u8, number, " \t") != null) return .{ unquoted(text), null };
    const seconds = std.fmt.parseInt(u32, number, 10) catch return error.NoNumber;
    return .{ unquoted(std.mem.trim(u8, text[0..option], " \t")), seconds };
}

fn unquoted(text: []const u8) []const u8 {
    const quoted = text.len >= 2 and text[0] == '\'' and text[text.len - 1] == '\'';
    return if (quoted) text[1 .. text.len - 1] else text;
}

fn report(kind: nectar.SendErrorKind, target: nectar.Address, our: nectar.Address, seconds: u64) void {
    const reason = "{f} did not answer: nothing of that name runs there, it ended, or it needed more than {d} seconds.";
    const node = if (std.mem.eql(u8, target.node, "our")) our.node else target.node;
    switch (kind) {
        .offline => script.fail("{s} is offline.", .{node}),
        .timeout => script.fail(reason, .{ nectar.Address{ .node = node, .process = target.process }, seconds }),
    }
}
