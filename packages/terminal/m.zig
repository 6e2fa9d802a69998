//! `m ADDRESS BODY [-a SECONDS]`: sends a request to any process of any node; with -a it awaits the response, and
//! answers with that one's body and blob. ADDRESS is `node@process:package:publisher`, or a process of this node; BODY
//! may stand between single quotes, and must if it ends like an option.

const std = @import("std");
const nectar = @import("nectar");
const script = @import("script.zig");

const usage = "m needs an address and a body, such as: m our@hello:hello:sys {{\"Greet\":\"Ada\"}} -a 5";

pub fn init(our: nectar.Address) void {
    const word, const rest = script.split(script.arguments());
    if (word.len == 0) return script.fail(usage, .{});
    const target = parseTarget(word) orelse
        return script.fail("{s} is not an address, such as other.nec@hello:hello:sys or hello:hello:sys.", .{word});
    const body, const seconds = parse(rest) catch
        return script.fail("-a needs the number of seconds to wait for the answer, such as: -a 5", .{});
    if (unknownOption(body)) |option| return script.fail(
        "m knows -a and no {s}: a body that ends like this stands between single quotes.",
        .{option},
    );
    if (body.len == 0 and seconds == null) return script.fail(usage, .{});
    const request: nectar.Outgoing = .{ .target = target, .body = unquoted(body), .expects_response = seconds };
    if (seconds == null) {
        nectar.send(request);
        return script.answer("sent to {f}", .{target});
    }
    switch (nectar.sendAndAwait(request)) {
        .response => |response| nectar.respond(.{ .body = response.body, .inherit = true }),
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
        1 + (std.mem.lastIndexOf(u8, text, " -a") orelse return .{ text, null });
    const name, const number = script.split(text[option..]);
    // A body may well contain " -a" without meaning us.
    if (name.len > 2 or std.mem.indexOfAny(u8, number, " \t") != null) return .{ text, null };
    const seconds = std.fmt.parseInt(u32, number, 10) catch return error.NoNumber;
    return .{ std.mem.trim(u8, text[0..option], " \t"), seconds };
}

/// A word at the end of the body, or before its last word, that looks like an option.
fn unknownOption(body: []const u8) ?[]const u8 {
    if (isQuoted(body)) return null;
    var words = std.mem.splitBackwardsAny(u8, body, " \t");
    for (0..2) |_| {
        const word = words.next() orelse return null;
        if (isOption(word)) return word;
    }
    return null;
}

fn isOption(word: []const u8) bool {
    const name = std.mem.trimStart(u8, word, "-");
    if (name.len == word.len or word.len - name.len > 2 or name.len == 0) return false;
    for (name) |byte| if (!std.ascii.isAlphabetic(byte) and byte != '-') return false;
    return true;
}

fn isQuoted(text: []const u8) bool {
    return text.len >= 2 and text[0] == '\'' and text[text.len - 1] == '\'';
}

fn unquoted(text: []const u8) []const u8 {
    return if (isQuoted(text)) text[1 .. text.len - 1] else text;
}

fn report(kind: nectar.SendErrorKind, target: nectar.Address, our: nectar.Address, seconds: u64) void {
    const reason = "{f} did not answer: nothing of that name runs there, it ended, or it needed more than {d} seconds.";
    const node = if (std.mem.eql(u8, target.node, "our")) our.node else target.node;
    switch (kind) {
        .offline => script.failAs(.offline, "{s} is offline.", .{node}),
        .timeout => script.failAs(.timeout, reason, .{ nectar.Address{ .node = node, .process = target.process }, seconds }),
    }
}
