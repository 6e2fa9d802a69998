//! Tries each client of the Zig SDK, as a request says: "Files" and the like.

const std = @import("std");
const nectar = @import("nectar");

const vfs = nectar.vfs;
const log = std.log.scoped(.tries);

const Try = union(enum) { Files, Keys, Sql, Time, State, Logs, Watch, Seen, Web, Internet: []const u8 };

pub fn init(our: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) {
            if (nectar.http.parse(our, request)) |event| {
                show(event);
                continue;
            }
            if (vfs.parseChange(our, request)) |change| {
                changed = nectar.allocator.dupe(u8, change.Changed.changes[0]) catch @panic("out of memory");
                nectar.respond(.{ .body = "\"Ok\"" });
                continue;
            }
            const what = nectar.json.parse(Try, request.body) catch @panic("that is nothing to try");
            const outcome = if (attempt(our, what)) |_| "done" else |err| @errorName(err);
            nectar.respond(.{ .body = nectar.json.stringify(outcome) });
        },
        .response, .send_error => {},
    };
}

fn attempt(our: nectar.Address, what: Try) !void {
    return switch (what) {
        .Files => files(our),
        .Keys => keysAndValues(our),
        .Sql => sql(our),
        .Time => timeAndChance(),
        .State => states(),
        .Logs => logs(),
        .Watch => watch(our),
        .Seen => told(our),
        .Web => web(our),
        .Internet => |url| internet(url),
    };
}

/// A mistake of the SDK: the log says in which part.
fn check(holds: bool, comptime what: []const u8) !void {
    if (holds) return;
    log.err("not so: " ++ what, .{});
    return error.NotSo;
}

fn is(found: []const u8, expected: []const u8) bool {
    return std.mem.eql(u8, found, expected);
}

fn files(our: nectar.Address) !void {
    const drive = vfs.drive(our, "notes");
    const path = nectar.format("{s}/a.txt", .{drive});
    const inner = nectar.format("{s}/inner", .{drive});
    const copied = nectar.format("{s}/b.txt", .{inner});
    const renamed = nectar.format("{s}/c.txt", .{inner});
    try vfs.createDrive(drive);
    try vfs.write(path, "hello");
    try vfs.append(path, ", world");
    try vfs.writeAt(path, 0, "H");
    try vfs.createDir(inner);
    try vfs.copy(path, copied);
    try vfs.rename(copied, renamed);
    try vfs.sync(path);
    try check(is(try vfs.read(path), "Hello, world"), "read");
    try check(is(try vfs.readAt(path, 7, 100), "world"), "readAt");
    try check((try vfs.metadata(path)).len == 12, "metadata");
    try check(try vfs.freeSpace(drive) > 0, "freeSpace");
    const page = vfs.page(drive, null).ReadDir;
    try check(page.len == 2 and is(page[0].name(), "a.txt") and page[1].file_type == .Directory, "page");
    try check(vfs.page(drive, page[1]).ReadDir.len == 0, "the next page");
    try check(is((try vfs.hash(path))[0..4], "\xfe\x44\xe8\x5b"), "hash");
    try vfs.setLength(path, 5);
    try check(is(try vfs.read(path), "Hello"), "setLength");
    try vfs.createFile(path);
    try check((try vfs.read(path)).len == 0, "createFile");
    try vfs.remove(path);
    try vfs.removeDir(inner);
    try check(vfs.read(path) == error.NotFound, "a file that was removed");
}

/// A path that has changed and was watched.
var changed: []const u8 = "";

fn watch(our: nectar.Address) !void {
    const drive = vfs.drive(our, "notes");
    try vfs.createDrive(drive);
    try check(vfs.unwatch(drive) == error.NotFound, "what is not watched");
    try vfs.watch(drive);
}

fn told(our: nectar.Address) !void {
    try check(std.mem.indexOf(u8, changed, "/notes/a.txt") != null, "what has changed");
    try vfs.unwatch(vfs.drive(our, "notes"));
}

fn web(our: nectar.Address) !void {
    const http = nectar.http;
    const drive = vfs.drive(our, "web");
    const file = nectar.format("{s}/help.txt", .{drive});
    try vfs.createDrive(drive);
    try vfs.write(file, "help!");
    try http.serve("/page", .{ .mime = "text/x", .bytes = "a page" }, .{ .local_only = true });
    try http.serveFiles("/help", .{ .file = file }, .{});
    try http.serveFiles("/all", .{ .folder = drive }, .{});
    try http.receiveFiles("/sent", nectar.format("{s}/sent", .{drive}), .{ .limit = 5 });
    try http.bind("/games/:id", .{});
    try http.bindWebSocket("/program", .{ .extension = true });
    try check(http.serveFiles("/help", .{ .file = "/other:sys/pkg/help.txt" }, .{}) == error.NotBound, "a foreign file");
}

fn show(event: nectar.http.Event) void {
    const asked = if (event == .Http) event.Http else return;
    const Params = struct { id: ?[]const u8 = null };
    const params = nectar.json.parse(Params, asked.url_params.text) catch @panic("no parameters");
    if (asked.body_file) |file| {
        const sent = vfs.read(file.path) catch "";
        nectar.http.respond(200, "text/x", nectar.format("{s} {s}", .{ sent, file.hash[0..8] }));
    } else if (params.id) |id| {
        nectar.http.reply(.{ .status = 201, .headers = &.{.{ .name = "X-Made", .value = "yes" }}, .body = id });
    } else nectar.http.respond(400, "text/x", "nothing was sent");
}

fn keysAndValues(our: nectar.Address) !void {
    const notes: nectar.Kv = .of(our, "notes");
    try notes.open();
    try notes.set("\x00a", "x", null);
    try check(is((try notes.get("\x00a")).?, "x"), "get");
    try check(try notes.get("b") == null, "a key that is not there");
    const number = try notes.begin();
    try notes.set("b", "", number);
    try notes.delete("\x00a", number);
    try check(try notes.get("b") == null, "before the commit");
    try notes.commit(number);
    try check(is((try notes.get("b")).?, "") and try notes.get("\x00a") == null, "after the commit");
    try notes.remove();
    try check(notes.get("b") == error.Failed, "a database that was removed");
}

const Price = struct { name: []const u8, price: f64, sold: ?bool };

fn sql(our: nectar.Address) !void {
    const shop: nectar.Sqlite = .of(our, "shop");
    try shop.open();
    try shop.write("CREATE TABLE prices (name TEXT, price REAL, sold INTEGER)", &.{}, null);
    const number = try shop.begin();
    try shop.write("INSERT INTO prices VALUES (?, ?, ?)", &.{ .{ .text = "green tea" }, .{ .real = 2.5 }, .null }, number);
    try shop.commit(number);
    const rows = try shop.read(Price, "SELECT * FROM prices WHERE price < ?", &.{.{ .integer = 3 }});
    try check(rows.len == 1 and rows[0].price == 2.5 and rows[0].sold == null, "the row");
    try check(is(rows[0].name, "green tea"), "a text");
    try check((try shop.read(Price, "SELECT * FROM prices WHERE price < 0", &.{})).len == 0, "no row");
    try check(shop.write("INSERT INTO nothing VALUES (1)", &.{}, null) == error.Failed, "a table that is not there");
    try shop.remove();
}

fn timeAndChance() !void {
    const before = nectar.time.monotonic();
    const now = nectar.time.now();
    nectar.time.sleep(50);
    const slept = nectar.time.monotonic() - before;
    try check(slept >= 40_000_000 and slept < 30_000_000_000, "sleep");
    try check(now > 1_700_000_000_000_000_000 and nectar.time.now() >= now, "now");
    try check(nectar.random.source.int(u128) != nectar.random.source.int(u128), "random");
    var seen: u8 = 0;
    for (0..200) |_| seen |= @as(u8, 1) << nectar.random.source.intRangeLessThan(u3, 0, 5);
    try check(seen == 31, "a range");
}

const Kept = struct {
    number: f64 = 0.5,
    small: f32 = 1.5,
    text: []const u8 = "x",

    pub const version = 3;
};

fn states() !void {
    const state = nectar.State(Kept);
    var kept = try state.load();
    kept.number += 0.25;
    kept.text = "ü\n";
    state.save(kept);
    const again = try state.load();
    try check(again.number == kept.number and again.small == 1.5 and is(again.text, "ü\n"), "floats");
    inline for (.{ 0.1, -0.0, 1.0, 5e-324, 1.7976931348623157e308, 1e17, 123456789.125, 1e-7 }) |number| {
        const spelled = nectar.json.stringify(@as(f64, number));
        const back = try nectar.json.parse(f64, spelled);
        try check(@as(u64, @bitCast(back)) == @as(u64, @bitCast(@as(f64, number))), "a float comes back");
        try check(nectar.json.parse(i64, spelled) == error.NotJson, "a float is no integer");
    }
    try check(try nectar.json.parse(f64, "3") == 3, "an integer is a float, too");
    try check(nectar.json.parse(f64, "1e999") == error.NotJson, "infinite");
}

fn logs() void {
    log.debug("never shown", .{});
    nectar.log_level = .debug;
    std.log.warn("logged: {d} {s}", .{ -1, "ü" });
    nectar.log_level = .info;
}

fn internet(url: []const u8) !void {
    const bad = nectar.http_client.fetch(.{ .url = "http://127.0.0.1:1/" });
    try check(std.mem.indexOf(u8, bad.failed, "BadUrl") != null, "a server that may not be asked");
    const headers = [_]nectar.http_client.Header{.{ .name = "x-add", .value = "!" }};
    const good = nectar.http_client.fetch(.{ .method = "POST", .url = url, .headers = &headers, .body = "ping" });
    try check(good.answer.status == 201 and is(good.answer.body, "ping!"), "an answer");
    try check(is(good.header("content-type").?, "text/x"), "a header");
}
