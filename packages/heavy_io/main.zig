//! Long work on files in children, so that the process that people talk to always answers at once.
//!
//! A copier (`copier.zig`) does one step after another and waits for the disk after each; main never waits for one. The
//! bytes do not slow anybody down either: each chunk travels as a blob that is read from the disk and inherited by the
//! request that writes it, and enters no process's memory.
//!
//!     {"Run":{"from":PATH,"to":PATH}}  →  {"Ran":{"bytes":N,"hash":BLAKE3}}, when the copy has been checked
//!     "Status"                         →  {"Status":{"running":1,"copied":BYTES}}, at once, meanwhile
//!
//! Paths lie in this package's own drives: "/heavy_io:sys/files/large.bin". To see it: `nectar start
//! packages/heavy_io`, put a file there, and send both with `nectar message` to our@heavy_io:heavy_io:sys.

const nectar = @import("nectar");
const protocol = @import("protocol.zig");

/// Seconds that a copy may take.
const patience = 24 * 3600;

var running: u32 = 0;
/// Bytes, of all copies since the process began.
var copied: u64 = 0;

pub fn init(our: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| handle(request, request.source.samePackage(our)),
        // A response or an error puts back the prompt: the answer goes to whoever sent that Run.
        .response => |response| {
            running -= 1;
            nectar.respond(.{ .body = response.body });
        },
        .send_error => |failed| if (failed.of_request) {
            running -= 1;
            reply(.{ .Err = "the copier has crashed, or took more than a day" });
        },
    };
}

fn handle(request: nectar.Request, from_copier: bool) void {
    const ask = nectar.json.parse(protocol.Ask, request.body) catch protocol.Ask.Unknown;
    if (ask == .Report) {
        if (from_copier) copied += ask.Report.bytes;
    } else if (request.wantsAnswer()) switch (ask) {
        .Run => run(request.body),
        .Status => reply(.{ .Status = .{ .running = running, .copied = copied } }),
        else => reply(.{ .Err = "expected {\"Run\":{\"from\":PATH,\"to\":PATH}} or \"Status\"" }),
    };
}

fn run(order: []const u8) void {
    const copier = nectar.spawn(.{
        .wasm_path = "/copier.wasm",
        // It needs what we have: vfs.
        .request_capabilities = nectar.ourCapabilities(),
    }) catch return reply(.{ .Err = "no copier could be started" });
    running += 1;
    nectar.send(.{
        .target = .{ .node = "our", .process = copier },
        .body = order,
        .expects_response = patience,
    });
}

fn reply(answer: protocol.Answer) void {
    nectar.respond(.{ .body = nectar.json.stringify(answer) });
}
