//! `alias NAME SCRIPT` lets NAME stand for a script's full name, `alias NAME ""` for nothing any more, `alias NAME`
//! tells what it stands for, and `alias` lists all.

const std = @import("std");
const nectar = @import("nectar");
const script = @import("script.zig");

const Edit = union(enum) { EditAlias: struct { alias: []const u8, process: []const u8 }, GetAliases };

const Reply = union(enum) { Ok, Aliases: nectar.json.Raw, Err: []const u8 };

pub fn init(_: nectar.Address) void {
    const name, const process = script.split(script.arguments());
    if (process.len == 0) return show(name);
    const none = std.mem.eql(u8, process, "\"\"") or std.mem.eql(u8, process, "''");
    const reply = ask(.{ .EditAlias = .{ .alias = name, .process = if (none) "" else process } }) orelse return;
    if (reply != .Ok) return confused();
    if (none) script.answer("{s} stands for nothing any more", .{name}) else script.answer("{s} stands for {s}", .{ name, process });
}

fn show(name: []const u8) void {
    const reply = ask(.GetAliases) orelse return;
    if (reply != .Aliases) return confused();
    var text: std.ArrayList(u8) = .empty;
    list(&text, reply.Aliases.text, name) catch return confused();
    if (text.items.len == 0) return script.fail("there is no alias {s}: `alias` lists those that there are.", .{name});
    nectar.respond(.{ .body = text.items[0 .. text.items.len - 1] });
}

/// A line for each alias in an object of texts; only the wanted one, if it is not "".
fn list(text: *std.ArrayList(u8), object: []const u8, wanted: []const u8) nectar.json.Error!void {
    var scanner: nectar.json.Scanner = .initCompleteInput(nectar.arena(), object);
    if (try scanner.next() != .object_begin) return error.Unexpected;
    while (try scanner.peekNextTokenType() != .object_end) {
        const name = try nectar.json.read([]const u8, &scanner);
        const process = try nectar.json.read([]const u8, &scanner);
        if (wanted.len == 0 or std.mem.eql(u8, name, wanted)) {
            try text.print(nectar.arena(), "{s}: {s}\n", .{ name, process });
        }
    }
}

/// What the terminal says; null: it has been reported why it says nothing.
fn ask(edit: Edit) ?Reply {
    const body = script.ask(.local("terminal:terminal:sys"), edit) orelse {
        script.fail("the terminal does not answer.", .{});
        return null;
    };
    const reply = nectar.json.parse(Reply, body) catch {
        confused();
        return null;
    };
    if (reply != .Err) return reply;
    script.fail("{s}", .{reply.Err});
    return null;
}

fn confused() void {
    script.fail("the terminal gave an answer that makes no sense.", .{});
}
