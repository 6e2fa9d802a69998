//! Keeps numbers in its package's folder by WASI: all in one file that only grows, and the latest in one that is replaced.
//!
//!     {"Add": 3}  →  "Added" when the number is durable in both files, or {"Failed": errno}
//!     "Read"      →  {"Numbers": {"all": "1\n2\n3\n", "latest": "3\n3\n…"}}; empty: there is no such file

const nectar = @import("nectar");

const Ask = union(enum) { Add: u32, Read };
const Says = union(enum) {
    Added,
    Failed: u16,
    Numbers: struct { all: []const u8, latest: []const u8 },
    Err: []const u8,
};

const wasi = struct {
    const Vector = extern struct { bytes: [*]const u8, size: usize };
    extern "wasi_snapshot_preview1" fn path_open(
        folder: u32,
        lookup: u32,
        path: [*]const u8,
        size: usize,
        oflags: u32,
        rights: u64,
        inheriting: u64,
        flags: u32,
        opened: *u32,
    ) u16;
    extern "wasi_snapshot_preview1" fn fd_write(fd: u32, vectors: [*]const Vector, count: usize, written: *usize) u16;
    extern "wasi_snapshot_preview1" fn fd_read(fd: u32, vectors: [*]const Vector, count: usize, read: *usize) u16;
    extern "wasi_snapshot_preview1" fn fd_sync(fd: u32) u16;
    extern "wasi_snapshot_preview1" fn fd_close(fd: u32) u16;
    extern "wasi_snapshot_preview1" fn path_rename(
        folder: u32,
        old: [*]const u8,
        old_size: usize,
        new_folder: u32,
        new: [*]const u8,
        new_size: usize,
    ) u16;
};

const drive = 3;
const creat = 1;
const trunc = 8;
const append = 1;
const rights_read = 1 << 1;
const rights_write = 1 << 6;
/// The latest number is so often in its file that half a file is seen to be one.
const copies = 50;

var errno: u16 = 0;
var buffer: [1 << 16]u8 = undefined;

const Failed = error{Wasi};

fn check(code: u16) Failed!void {
    if (code == 0) return;
    errno = code;
    return error.Wasi;
}

fn open(path: []const u8, oflags: u32, rights: u64, flags: u32) Failed!u32 {
    var fd: u32 = 0;
    try check(wasi.path_open(drive, 0, path.ptr, path.len, oflags, rights, 0, flags, &fd));
    return fd;
}

/// Write it all, and make it durable.
fn write(fd: u32, text: []const u8) Failed!void {
    defer _ = wasi.fd_close(fd);
    var rest = text;
    while (rest.len > 0) {
        var written: usize = 0;
        try check(wasi.fd_write(fd, &.{.{ .bytes = rest.ptr, .size = rest.len }}, 1, &written));
        rest = rest[written..];
    }
    try check(wasi.fd_sync(fd));
}

fn read(path: []const u8, into: []u8) Failed![]const u8 {
    const fd = open(path, 0, rights_read, 0) catch |failed| return if (errno == 44) "" else failed;
    defer _ = wasi.fd_close(fd);
    var size: usize = 0;
    while (size < into.len) {
        var count: usize = 0;
        try check(wasi.fd_read(fd, &.{.{ .bytes = into.ptr + size, .size = into.len - size }}, 1, &count));
        if (count == 0) break;
        size += count;
    }
    return into[0..size];
}

fn add(number: u32) Failed!void {
    const line = nectar.format("{d}\n", .{number});
    try write(try open("all", creat, rights_write, append), line);
    const new = "latest.new";
    const fd = try open(new, creat | trunc, rights_write, 0);
    var text: []const u8 = "";
    for (0..copies) |_| text = nectar.format("{s}{s}", .{ text, line });
    try write(fd, text);
    const latest = "latest";
    try check(wasi.path_rename(drive, new, new.len, drive, latest, latest.len));
    try write(try open(latest, 0, rights_write, 0), ""); // its new name is durable only then
}

fn numbers() Failed!Says {
    const all = try read("all", buffer[0 .. buffer.len / 2]);
    return .{ .Numbers = .{ .all = all, .latest = try read("latest", buffer[buffer.len / 2 ..]) } };
}

pub fn init(_: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) answer(request.body),
        .response, .send_error => {},
    };
}

fn answer(body: []const u8) void {
    const says: Says = switch (nectar.json.parse(Ask, body) catch return reply(.{ .Err = "expected Add or Read" })) {
        .Add => |number| if (add(number)) .Added else |_| .{ .Failed = errno },
        .Read => numbers() catch .{ .Failed = errno },
    };
    reply(says);
}

fn reply(says: Says) void {
    nectar.respond(.{ .body = nectar.json.stringify(says) });
}
