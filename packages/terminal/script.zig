//! What the scripts of this package share: one request with the arguments, one answer, the end.

const std = @import("std");
const nectar = @import("nectar");

/// Seconds that a part of this node has to answer.
pub const patience = 10;

/// Waits for the request that every script begins with. The text lives as long as the script.
pub fn arguments() []const u8 {
    while (true) switch (nectar.receive()) {
        .request => |request| return std.mem.trim(u8, request.body, " \t\r\n"),
        .response, .send_error => {},
    };
}

/// The first word and what follows it.
pub fn split(text: []const u8) struct { []const u8, []const u8 } {
    const end = std.mem.indexOfAny(u8, text, " \t\r\n") orelse return .{ text, "" };
    return .{ text[0..end], std.mem.trim(u8, text[end..], " \t\r\n") };
}

pub fn answer(comptime template: []const u8, args: anytype) void {
    nectar.respond(.{ .body = nectar.format(template, args) });
}

/// The answer is the reason why there is no better one; the metadata tells the terminal's user so.
pub fn fail(comptime template: []const u8, args: anytype) void {
    nectar.respond(.{ .body = nectar.format(template, args), .metadata = "\"failed\"" });
}

/// The same where the reason is the network, or another process that does not answer.
pub fn failAs(kind: nectar.SendErrorKind, comptime template: []const u8, args: anytype) void {
    const metadata = switch (kind) {
        .offline => "\"offline\"",
        .timeout => "\"timeout\"",
    };
    nectar.respond(.{ .body = nectar.format(template, args), .metadata = metadata });
}

/// Asks a part of this node something in JSON; null: it does not answer.
pub fn ask(target: nectar.Address, question: anytype) ?[]const u8 {
    return switch (nectar.sendAndAwait(.{
        .target = target,
        .body = nectar.json.stringify(question),
        .expects_response = patience,
    })) {
        .response => |response| response.body,
        .send_error => null,
    };
}

/// Whether a text can be a node's name.
pub fn isNode(text: []const u8) bool {
    if (text.len > 253 or std.mem.indexOfScalar(u8, text, '.') == null) return false;
    for (text) |byte| switch (byte) {
        'a'...'z', '0'...'9', '-', '.' => {},
        else => return false,
    };
    return true;
}
