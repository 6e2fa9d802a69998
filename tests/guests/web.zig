//! A process with pages. The user tells it what to ask of whom, `{"Tell": {"to", "body", "mime", "blob"}}`, and gets the
//! answer's body, `{"ServeFolder": {"path", "folder"}}` has that served; a browser's request is answered by what its bound path says.

const std = @import("std");
const nectar = @import("nectar");
const json = nectar.json;

const Command = union(enum) {
    Tell: struct { to: []const u8, body: []const u8, mime: ?[]const u8 = null, blob: ?[]const u8 = null },
    ServeFolder: struct { path: []const u8, folder: []const u8 },
    Http: json.Raw,
};

const Browser = struct { method: []const u8, bound_path: []const u8, query_params: struct { answer: []const u8 = "" } };

pub fn init(_: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (!handle(request)) return,
        .response, .send_error => {},
    };
}

/// Returns whether it goes on.
fn handle(request: nectar.Request) bool {
    switch (json.parse(Command, request.body) catch return true) {
        .Tell => |tell| tellOther(tell),
        .ServeFolder => |wanted| {
            const bound = nectar.http.serveFiles(wanted.path, .{ .folder = wanted.folder }, .{});
            nectar.respond(.{ .body = if (bound) "\"served\"" else |_| "\"refused\"" });
        },
        .Http => |http| return serve(http, request.source),
    }
    return true;
}

fn tellOther(tell: anytype) void {
    const answer = nectar.sendAndAwait(.{
        .target = nectar.Address.parse(tell.to) catch return,
        .body = tell.body,
        .expects_response = 10,
        .blob = if (tell.blob) |bytes| .{ .mime = tell.mime, .bytes = bytes } else null,
    });
    switch (answer) {
        .response => |response| nectar.respond(.{ .body = response.body }),
        .send_error => nectar.respond(.{ .body = "\"failed\"" }),
    }
}

fn serve(http: json.Raw, source: nectar.Address) bool {
    const browser = json.parse(Browser, http.text) catch return true;
    const blob = nectar.getBlob();
    const path = browser.bound_path;
    if (std.mem.endsWith(u8, path, "/never")) {
        nectar.print(0, "asked for /never", .{});
        return true;
    }
    if (std.mem.endsWith(u8, path, "/end")) return false;
    if (std.mem.endsWith(u8, path, "/nonsense")) {
        nectar.respond(.{ .body = "what?" });
    } else if (std.mem.endsWith(u8, path, "/file")) {
        nectar.http.respondFile(200, browser.query_params.answer);
    } else if (std.mem.endsWith(u8, path, "/say")) {
        nectar.respond(.{ .body = browser.query_params.answer });
    } else if (std.mem.endsWith(u8, path, "/upload")) {
        nectar.respond(.{ .body = "{\"status\":201,\"headers\":{\"X-Made\":\"yes\",\"Connection\":\"close\"}}", .blob = blob });
    } else {
        // What came, and from whom.
        const text = nectar.format("{s} {s}", .{ source.process.process, http.text });
        nectar.respond(.{
            .body = "{\"status\":200,\"headers\":{\"Content-Type\":\"text/plain\"}}",
            .blob = .{ .bytes = text },
        });
    }
    return true;
}
