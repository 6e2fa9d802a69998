//! Servers of the internet: `nectar.http_client.fetch(.{ .url = "https://api.example.com/" })`.
//!
//! The process needs the capability to message `http_client:distro:sys`, which its manifest asks for.

const std = @import("std");
const nectar = @import("nectar.zig");
const json = @import("json.zig");

/// One header, of a request or an answer.
pub const Header = struct { name: []const u8, value: []const u8 };

/// What to ask.
pub const Fetch = struct {
    method: []const u8 = "GET",
    url: []const u8,
    headers: []const Header = &.{},
    body: ?[]const u8 = null,
    /// Seconds for the whole answer, redirects included.
    seconds: u64 = 30,
};

/// What a server has answered, or why it has not. Both live until the next message.
pub const Fetched = union(enum) {
    answer: struct { status: u16, headers: []const Header, body: []const u8 },
    failed: []const u8,

    /// The value of a header, by its name in lower case.
    pub fn header(self: Fetched, name: []const u8) ?[]const u8 {
        if (self != .answer) return null;
        for (self.answer.headers) |each| if (std.mem.eql(u8, each.name, name)) return each.value;
        return null;
    }
};

/// Ask a server and wait for its answer; other messages wait meanwhile.
pub fn fetch(what: Fetch) Fetched {
    const Asked = struct { method: []const u8, version: ?[]const u8 = null, url: []const u8, headers: Headers };
    const request = union(enum) { Http: Asked }{
        .Http = .{ .method = what.method, .url = what.url, .headers = .{ .list = what.headers } },
    };
    const outcome = nectar.sendAndAwait(.{
        .target = nectar.Address.local("http_client:distro:sys"),
        .body = json.stringify(request),
        .expects_response = what.seconds,
        .blob = if (what.body) |bytes| .{ .bytes = bytes } else null,
    });
    return switch (outcome) {
        .send_error => |failed| .{ .failed = @tagName(failed.kind) },
        .response => |response| read(response.body),
    };
}

const Told = struct { status: u16, headers: Headers };
const Ok = union(enum) { Http: Told };
const Answer = union(enum) { Ok: Ok, Err: json.Raw };

fn read(body: []const u8) Fetched {
    const answer = json.parse(Answer, body) catch return .{ .failed = "the node's answer is not understood" };
    switch (answer) {
        .Err => |why| return .{ .failed = why.text },
        .Ok => |ok| {
            const blob = nectar.getBlob();
            return .{ .answer = .{
                .status = ok.Http.status,
                .headers = ok.Http.headers.list,
                .body = if (blob) |found| found.bytes else "",
            } };
        },
    }
}

/// Headers as the node spells them: an object, whose fields are not known.
pub const Headers = struct {
    list: []const Header,

    /// Read an object.
    pub fn fromJson(scanner: *json.Scanner) json.Error!Headers {
        var list: std.ArrayList(Header) = .empty;
        if (try scanner.next() != .object_begin) return error.Unexpected;
        while (try scanner.peekNextTokenType() != .object_end) {
            const name = try json.read([]const u8, scanner);
            try list.append(nectar.arena(), .{ .name = name, .value = try json.read([]const u8, scanner) });
        }
        _ = try scanner.next();
        return .{ .list = list.items };
    }

    /// Write an object.
    pub fn toJson(self: Headers, writer: *std.Io.Writer) json.WriteError!void {
        try writer.writeAll("{");
        for (self.list, 0..) |each, i| {
            if (i > 0) try writer.writeAll(",");
            try json.write(each.name, writer);
            try writer.writeAll(":");
            try json.write(each.value, writer);
        }
        try writer.writeAll("}");
    }
};
