//! The entries: one for each process that has added itself, in the order in which they came, kept as this process's
//! state. Whatever they hold comes from others and is bounded here.

const std = @import("std");
const nectar = @import("nectar");

const allocator = nectar.allocator;

/// What a process asks for.
pub const Wanted = struct {
    label: []const u8,
    icon: ?[]const u8 = null,
    path: ?[]const u8 = null,
    widget: ?[]const u8 = null,
};

/// An entry, with the fields that the existing node gives it.
pub const App = struct {
    id: []const u8,
    process: []const u8,
    package_name: []const u8,
    publisher: []const u8,
    /// Below the node's root, the process's id in front; null: it has a widget only.
    path: ?[]const u8 = null,
    label: []const u8,
    base64_icon: ?[]const u8 = null,
    widget: ?[]const u8 = null,
    order: u32,
    favorite: bool = false,
};

/// Of all packages: more than a page shows well.
const max_apps = 256;
/// Of one package, so that no package takes the places of others.
const max_of_package = 16;
const max_label_bytes = 256;
const max_path_bytes = 1024;
/// As a data URL: a picture of 128 by 128 pixels has a tenth.
const max_icon_bytes = 256 << 10;
const max_widget_bytes = 256 << 10;
/// Of icons and widgets of one package.
const max_package_bytes = 1 << 20;
/// Of all: the page has them in it.
const max_all_bytes = 4 << 20;

const Saved = struct { apps: []const App };

var list: std.ArrayList(App) = .empty;

pub fn all() []const App {
    return list.items;
}

pub fn restore(state: ?[]const u8) !void {
    const saved = try nectar.json.parse(Saved, state orelse return);
    for (saved.apps) |app| try list.append(allocator, try copied(app));
}

/// Whether a process has no place unless entries go.
pub fn isFull(source: nectar.ProcessId) bool {
    return list.items.len >= max_apps or of(source).count >= max_of_package;
}

/// Add or replace the entry of a process; returns why it cannot be.
pub fn add(source: nectar.ProcessId, wanted: Wanted) !?[]const u8 {
    if (refusal(wanted)) |reason| return reason;
    const id = nectar.format("{f}", .{source});
    const place = placeOf(id);
    const size = sizeOf(wanted.icon, wanted.widget);
    var before: usize = 0;
    if (place) |at| before = sizeOf(list.items[at].base64_icon, list.items[at].widget);
    const others = of(source);
    if (others.bytes - before + size > max_package_bytes) return "the package's icons and widgets are more than 1 MiB";
    if (place == null and others.count >= max_of_package) return "the package has 16 entries already";
    if (place == null and list.items.len >= max_apps) return "there are 256 entries already";
    if (total() - before + size > max_all_bytes) return "all icons and widgets together would be more than 4 MiB";
    const app: App = .{
        .id = id,
        .process = source.process,
        .package_name = source.package,
        .publisher = source.publisher,
        .path = if (wanted.path) |path| nectar.format("/{s}/{s}", .{ id, std.mem.trimStart(u8, path, "/") }) else null,
        .label = wanted.label,
        .base64_icon = wanted.icon,
        .widget = wanted.widget,
        .order = if (place) |at| list.items[at].order else nextOrder(),
    };
    if (place) |at| {
        if (equal(list.items[at], app)) return null; // as at each boot: nothing is to be saved
        const fresh = try copied(app);
        free(list.items[at]);
        list.items[at] = fresh;
    } else try list.append(allocator, try copied(app));
    save();
    return null;
}

pub fn remove(id: []const u8) void {
    const at = placeOf(id) orelse return;
    free(list.orderedRemove(at));
    save();
}

/// Keep the entries of these processes, and no others.
pub fn keep(ids: []const []const u8) void {
    const before = list.items.len;
    var at: usize = 0;
    while (at < list.items.len) {
        if (contains(ids, list.items[at].id)) at += 1 else free(list.orderedRemove(at));
    }
    if (list.items.len < before) save();
}

pub fn contains(ids: []const []const u8, id: []const u8) bool {
    for (ids) |each| if (std.mem.eql(u8, each, id)) return true;
    return false;
}

fn refusal(wanted: Wanted) ?[]const u8 {
    if (wanted.label.len == 0 or wanted.label.len > max_label_bytes) return "a label has 1 to 256 bytes";
    if (wanted.icon) |icon| {
        if (icon.len > max_icon_bytes) return "an icon has at most 256 KiB";
        if (!isPicture(icon)) return "an icon is a data URL of an image, in base64";
    }
    if (wanted.widget) |widget| if (widget.len > max_widget_bytes) return "a widget has at most 256 KiB";
    if (wanted.path) |path| {
        if (path.len > max_path_bytes) return "a path has at most 1,024 bytes";
        if (!staysBelow(path)) return "the path leads out of the process's own";
    }
    return null;
}

const kinds = [_][]const u8{ "png", "jpeg", "jpg", "gif", "webp", "avif", "svg+xml", "bmp", "x-icon", "vnd.microsoft.icon" };

/// Whether a text is a data URL of an image (RFC 2397), and nothing that could be more in an attribute.
pub fn isPicture(icon: []const u8) bool {
    const start = "data:image/";
    if (!std.mem.startsWith(u8, icon, start)) return false;
    const rest = icon[start.len..];
    const comma = std.mem.indexOf(u8, rest, ";base64,") orelse return false;
    for (kinds) |kind| {
        if (std.mem.eql(u8, rest[0..comma], kind)) break;
    } else return false;
    for (rest[comma + ";base64,".len ..]) |byte| switch (byte) {
        'A'...'Z', 'a'...'z', '0'...'9', '+', '/', '=' => {},
        else => return false,
    };
    return true;
}

/// Whether a browser stays below the process's id when it follows the path (WHATWG URL, 4.4: dots, also written %2e,
/// and backslashes count).
fn staysBelow(path: []const u8) bool {
    const end = std.mem.indexOfAny(u8, path, "?#") orelse path.len;
    var segments = std.mem.splitScalar(u8, path[0..end], '/');
    while (segments.next()) |segment| {
        for (segment) |byte| if (byte < 0x20 or byte == '\\' or byte == 0x7f) return false;
        var dots: usize = 0;
        var rest = segment;
        while (rest.len > 0) : (dots += 1) {
            if (rest[0] == '.') rest = rest[1..] else if (rest.len >= 3 and std.ascii.eqlIgnoreCase(rest[0..3], "%2e")) rest = rest[3..] else break;
        }
        if (rest.len == 0 and (dots == 1 or dots == 2)) return false;
    }
    return true;
}

const Share = struct { count: usize = 0, bytes: usize = 0 };

/// What the package of a process has.
fn of(source: nectar.ProcessId) Share {
    var share: Share = .{};
    for (list.items) |app| {
        if (!std.mem.eql(u8, app.package_name, source.package) or !std.mem.eql(u8, app.publisher, source.publisher)) continue;
        share.count += 1;
        share.bytes += sizeOf(app.base64_icon, app.widget);
    }
    return share;
}

fn total() usize {
    var bytes: usize = 0;
    for (list.items) |app| bytes += sizeOf(app.base64_icon, app.widget);
    return bytes;
}

fn sizeOf(icon: ?[]const u8, widget: ?[]const u8) usize {
    return (if (icon) |bytes| bytes.len else 0) + (if (widget) |bytes| bytes.len else 0);
}

fn nextOrder() u32 {
    var next: u32 = 0;
    for (list.items) |app| next = @max(next, app.order + 1);
    return next;
}

fn placeOf(id: []const u8) ?usize {
    for (list.items, 0..) |app, at| if (std.mem.eql(u8, app.id, id)) return at;
    return null;
}

fn equal(a: App, b: App) bool {
    return std.mem.eql(u8, a.label, b.label) and same(a.path, b.path) and same(a.base64_icon, b.base64_icon) and
        same(a.widget, b.widget);
}

fn same(a: ?[]const u8, b: ?[]const u8) bool {
    return if (a) |one| if (b) |other| std.mem.eql(u8, one, other) else false else b == null;
}

fn copied(app: App) !App {
    var copy = app;
    inline for (@typeInfo(App).@"struct".field_names, @typeInfo(App).@"struct".field_types) |field, Field| {
        if (Field == []const u8) @field(copy, field) = try allocator.dupe(u8, @field(app, field));
        if (Field == ?[]const u8) {
            if (@field(app, field)) |text| @field(copy, field) = try allocator.dupe(u8, text);
        }
    }
    return copy;
}

fn free(app: App) void {
    inline for (@typeInfo(App).@"struct".field_names, @typeInfo(App).@"struct".field_types) |field, Field| {
        if (Field == []const u8) allocator.free(@field(app, field));
        if (Field == ?[]const u8) {
            if (@field(app, field)) |text| allocator.free(text);
        }
    }
}

fn save() void {
    nectar.setState(nectar.json.stringify(Saved{ .apps = list.items }));
}
