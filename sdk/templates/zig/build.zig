//! For editors, which find the SDK here, and for `zig build`, which only checks. `nectar build` does not read it.

const std = @import("std");

pub fn build(b: *std.Build) void {
    const target = b.resolveTargetQuery(.{ .cpu_arch = .wasm32, .os_tag = .freestanding });
    const nectar = module(b, target, ".sdk/zig/nectar.zig");
    const process = module(b, target, "src/__NAME__.zig");
    process.addImport("nectar", nectar);
    const root = module(b, target, ".sdk/zig/start.zig");
    root.addImport("nectar", nectar);
    root.addImport("process", process);
    const guest = b.addExecutable(.{ .name = "__NAME__", .root_module = root });
    guest.entry = .disabled;
    guest.rdynamic = true;
    b.getInstallStep().dependOn(&guest.step);
}

fn module(b: *std.Build, target: std.Build.ResolvedTarget, path: []const u8) *std.Build.Module {
    return b.createModule(.{ .root_source_file = b.path(path), .target = target, .optimize = .ReleaseSafe });
}
