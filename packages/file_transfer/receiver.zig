//! The receiving side of one transfer: it pulls chunks into a partial file, a window of them at once.
//!
//! Chunks are asked for, arrive and are written in order, so the length of the partial file is what has arrived, and
//! a later attempt goes on from there. The bytes go from the sender's message to vfs as an inherited blob; they never
//! enter this process. The answer to Begin is given while the outcome of a chunk, a write, the sync or the hash is
//! handled: all of these were asked for under the prompt of the Begin.

const std = @import("std");
const nectar = @import("nectar");
const inbox = @import("inbox.zig");
const packed_folder = @import("packed.zig");
const protocol = @import("protocol.zig");
const vfs = nectar.vfs;

const Context = protocol.Context;
const format = nectar.format;
const respond = protocol.respond;

pub const Receiver = struct {
    our: nectar.Address,
    main: nectar.Address,
    /// The sending worker.
    peer: nectar.Address,
    offer: protocol.Offer,
    partial: []const u8,
    state: protocol.State = .starting,
    /// Offsets into the file: what is asked for next, what is to be written next, what is on the disk.
    next_chunk: u64 = 0,
    next_write: u64 = 0,
    written: u64 = 0,
    resumed_from: u64 = 0,
    /// Bytes.
    in_flight: u64 = 0,
    window: u64 = protocol.window.first,
    ticks: u32 = 0,
    /// The disk works on a sync or a hash.
    working: bool = false,
    pulling: bool = false,
    /// What we last said we have, in answer to a Begin.
    answered: ?struct { hash: [32]u8, existing: ?u32 } = null,
    /// The candidate name whose hash is being computed.
    probing: u32 = 0,
    stopping: bool = false,
    silent_ticks: u32 = 0,
    reported: ?struct { protocol.State, u64, bool } = null,

    /// The whole transfer; the current prompt is the Offer.
    pub fn run(our: nectar.Address, main: nectar.Address, job: protocol.Receive) !void {
        const lasting = nectar.allocator;
        var self: Receiver = .{
            .our = our,
            .main = try main.dupe(lasting),
            .peer = try (try nectar.Address.parse(job.from)).dupe(lasting),
            .offer = job.offer,
            .partial = try lasting.dupe(u8, job.partial),
        };
        self.offer.id = try lasting.dupe(u8, job.offer.id);
        self.offer.name = try lasting.dupe(u8, job.offer.name);
        self.accept();
        protocol.armTick();
        while (!self.state.over()) switch (nectar.receive()) {
            .request => |request| self.handle(request),
            .response => |response| if (Context.parse(response.context)) |context| self.outcome(context, response.body),
            .send_error => |failed| if (Context.parse(failed.context)) |context| self.undelivered(context, failed.kind),
        };
    }

    fn accept(self: *Receiver) void {
        switch (vfs.ask(self.partial, .Metadata)) {
            .Metadata => |partial| if (partial.len > self.offer.size) self.discard() else {
                self.written = partial.len;
            },
            else => |reply| if (reply.problem().kind != .NotFound) {
                respond(.{ .Refused = .{ .kind = .Disk, .reason = self.diskTrouble(reply.problem()) } });
                return self.end(.failed);
            },
        }
        self.resumed_from = self.written;
        self.state = .sending;
        respond(.{ .Accepted = .{ .have = self.written } });
        self.report();
    }

    fn handle(self: *Receiver, request: nectar.Request) void {
        const message = nectar.json.parse(protocol.ToWorker, request.body) catch {
            if (request.wantsAnswer()) respond(.{ .Err = "not understood" });
            return;
        };
        if (request.source.eql(self.main)) return self.handleMain(message);
        if (!request.source.eql(self.peer) or self.stopping) return;
        self.silent_ticks = 0;
        switch (message) {
            .Begin => |from| if (!self.pulling) self.probe(from.after),
            .Commit => |final| self.commit(final.hash),
            .GiveUp => |given| {
                if (given.discard) self.discard();
                self.end(.failed);
            },
            else => if (request.wantsAnswer()) respond(.{ .Err = "not understood" }),
        }
    }

    fn handleMain(self: *Receiver, message: protocol.ToWorker) void {
        switch (message) {
            .Alive => {
                self.silent_ticks = 0;
                respond(.{ .Alive = .{ .bytes = self.written } });
            },
            .Cancel => {
                self.giveUp(.Cancelled, format("the transfer was cancelled on {s}", .{self.our.node}), 0);
                self.end(.failed);
            },
            .Displace => |why| if (!self.stopping) {
                self.giveUp(.Other, why.reason, protocol.again_busy);
                self.end(.failed);
            },
            .Stop => {
                self.stopping = true;
                self.giveUp(.Superseded, "a newer attempt to send the same file took over", 0);
                // vfs does it after all that was sent to it before: its outcome, under the prompt of the Stop, says
                // that nothing more will be written.
                vfs.start(self.partial, .SyncAll, protocol.timeout.local, Context.of(.stop), false);
            },
            else => {},
        }
    }

    fn outcome(self: *Receiver, context: Context, body: []const u8) void {
        switch (context.purpose) {
            .tick => self.tick(),
            .stop => self.stopped(),
            .chunk => self.chunk(context, protocol.parseAnswer(body)),
            .write, .sync, .hash, .have => self.done(context, vfs.parse(body)),
            .unpack => self.unpacked(packed_folder.parse(body)),
            else => {},
        }
    }

    fn undelivered(self: *Receiver, context: Context, kind: nectar.SendErrorKind) void {
        switch (context.purpose) {
            .tick => self.tick(),
            .stop => self.stopped(),
            .chunk => if (!self.stopping) switch (kind) {
                .offline => self.fail(.Offline, format("{s} went offline", .{self.peer.node})),
                .timeout => self.fail(.Timeout, format("{s} stopped sending", .{self.peer.node})),
            },
            .write, .sync, .hash, .have => self.done(context, vfs.unanswered(kind)),
            .unpack => self.unpacked(.{ .Err = vfs.unanswered(kind).problem() }),
            else => {},
        }
    }

    /// Is the file already here, under its name or one of those that a taken name leads to? Then say so, else pull
    /// it.
    fn probe(self: *Receiver, after: u32) void {
        self.answered = null;
        var index = after;
        while (index < inbox.max_candidates) : (index += 1) {
            const path = self.candidatePath(index);
            switch (vfs.ask(path, .Metadata)) {
                .Metadata => |there| if (self.mayBeIt(path, there)) {
                    self.probing = index;
                    self.state = .checking;
                    self.working = true;
                    return self.hashFor(path, .have);
                },
                else => break, // free; if it is something worse, storing the file will say so
            }
        }
        self.pull();
    }

    fn hashFor(self: *Receiver, path: []const u8, comptime purpose: Context.Purpose) void {
        if (!self.isFolder()) return vfs.start(path, .Hash, protocol.timeout.hash, Context.of(purpose), false);
        const hash: packed_folder.Action = .{ .PackedHash = .{ .version = self.offer.modified } };
        packed_folder.start(path, hash, protocol.timeout.hash, Context.of(purpose));
    }

    fn isFolder(self: *Receiver) bool {
        return self.offer.entries > 0;
    }

    /// Whether what is at `path` seems to be what is offered, before it is hashed.
    fn mayBeIt(self: *Receiver, path: []const u8, there: vfs.Metadata) bool {
        if (!self.isFolder()) return there.file_type == .File and there.len == self.offer.size;
        if (there.file_type != .Directory) return false;
        return switch (packed_folder.ask(path, .PackedMetadata, protocol.timeout.disk)) {
            .Packed => |folder| folder.len == self.offer.size and folder.version == self.offer.modified,
            else => false,
        };
    }

    fn candidateName(self: *Receiver, index: u32) []const u8 {
        return inbox.candidate(self.offer.name, index, self.isFolder());
    }

    fn candidatePath(self: *Receiver, index: u32) []const u8 {
        return inbox.path(self.our.process, self.candidateName(index));
    }

    fn pull(self: *Receiver) void {
        const opened = vfs.ask(self.partial, .{ .OpenFile = .{ .create = true } });
        if (opened != .Ok) return self.failDisk(opened.problem());
        self.pulling = true;
        self.state = .sending;
        self.next_chunk = self.written;
        self.next_write = self.written;
        self.pump();
    }

    /// Keep the window full; when all is written, make it durable.
    fn pump(self: *Receiver) void {
        while (self.next_chunk < self.offer.size) {
            const length: u32 = @intCast(@min(self.chunkBytes(), self.offer.size - self.next_chunk));
            if (self.in_flight > 0 and self.in_flight + length > self.window) break;
            const context: Context = .{
                .purpose = .chunk,
                .offset = self.next_chunk,
                .length = length,
                .asked = self.ticks,
            };
            nectar.send(.{
                .target = self.peer,
                .body = nectar.json.stringify(protocol.ToWorker{ .Chunk = .{
                    .offset = self.next_chunk,
                    .length = length,
                    .have = self.written,
                } }),
                .expects_response = protocol.timeout.chunk,
                .context = std.mem.asBytes(&context),
            });
            self.next_chunk += length;
            self.in_flight += length;
        }
        if (self.written == self.offer.size) {
            self.working = true;
            vfs.start(self.partial, .SyncAll, protocol.timeout.disk, Context.of(.sync), false);
        }
    }

    fn chunkBytes(self: *Receiver) u64 {
        const most = @min(protocol.chunk_bytes, self.offer.chunk);
        return @max(protocol.min_chunk_bytes, @min(most, self.window / protocol.window.chunks));
    }

    /// A chunk has come that was asked for so many ticks ago.
    fn adapt(self: *Receiver, length: u32, ticks: u32) void {
        const window = protocol.window;
        if (ticks <= window.quick_ticks) self.window = @min(window.most, self.window + length);
        if (ticks > window.slow_ticks) self.window = @max(window.least, self.window / 2);
    }

    /// Hand the blob of the message being handled to vfs.
    fn chunk(self: *Receiver, context: Context, answer: protocol.Answer) void {
        if (self.stopping) return;
        self.silent_ticks = 0;
        switch (answer) {
            .Read => {},
            .Err => |text| {
                return self.fail(.Other, format("{s}: {s}", .{ self.peer.node, protocol.presentable(text) }));
            },
            else => return self.fail(.Other, format("{s} gave an answer that makes no sense", .{self.peer.node})),
        }
        // Out of order it would leave a hole, and the file's length would no longer say what has arrived.
        if (context.offset != self.next_write) return self.fail(.Other, "the chunks arrived out of order");
        self.next_write += context.length;
        self.adapt(context.length, self.ticks - context.asked);
        const write: Context = .{ .purpose = .write, .offset = context.offset, .length = context.length };
        // Hashed on the way, so that the whole file need not be read for that.
        const write_at = .{ .WriteAt = .{ .offset = context.offset, .length = context.length, .hash = true } };
        vfs.startOther(self.partial, write_at, protocol.timeout.disk, std.mem.asBytes(&write), true);
    }

    fn done(self: *Receiver, context: Context, reply: vfs.Reply) void {
        if (self.stopping) return;
        switch (context.purpose) {
            .write => {
                if (reply != .Ok) return self.failWrite(reply.problem());
                self.written += context.length;
                self.in_flight -= context.length;
                self.pump();
            },
            .sync => {
                self.working = false;
                if (reply != .Ok) return self.failDisk(reply.problem());
                self.check();
            },
            else => switch (reply) {
                .Hash => |hash| self.hashed(hash, if (context.purpose == .have) self.probing else null),
                else => self.failDisk(reply.problem()),
            },
        }
    }

    /// A chunk has another length than asked for if the file became shorter meanwhile, or if nobody means to send it.
    fn failWrite(self: *Receiver, problem: vfs.Problem) void {
        if (problem.kind != .Changed) return self.failDisk(problem);
        self.discard();
        self.fail(.Changed, format(
            "{s} changed on {s} while it was being sent; run the same command again",
            .{ self.offer.name, self.peer.node },
        ));
    }

    fn check(self: *Receiver) void {
        switch (vfs.ask(self.partial, .Metadata)) {
            .Metadata => |file| if (file.len != self.offer.size) return self.failWrite(.{ .kind = .Changed, .text = "" }),
            else => |reply| return self.failDisk(reply.problem()),
        }
        self.state = .checking;
        self.working = true;
        vfs.start(self.partial, .Hash, protocol.timeout.hash, Context.of(.hash), false);
    }

    fn hashed(self: *Receiver, hash: [32]u8, existing: ?u32) void {
        self.working = false;
        self.answered = .{ .hash = hash, .existing = existing };
        if (existing) |index| return respond(.{ .Have = .{ .hash = hash, .next = index + 1 } });
        respond(.{ .Received = .{ .hash = hash } });
    }

    fn commit(self: *Receiver, hash: [32]u8) void {
        const ours = self.answered orelse return respond(.{ .Err = "there is nothing to commit" });
        if (!std.mem.eql(u8, &ours.hash, &hash)) {
            self.discard();
            return self.fail(.Other, format(
                "what arrived on {s} is not what was sent, and was removed; run the same command again",
                .{self.our.node},
            ));
        }
        if (ours.existing) |index| {
            if (self.written > 0) self.discard();
            self.written = self.offer.size;
            const name = self.candidateName(index);
            respond(.{ .Stored = .{ .name = name, .path = inbox.path(self.our.process, name) } });
            return self.end(.done);
        }
        if (self.isFolder()) self.unpack() else self.store();
    }

    /// Make a folder of the packed one, beside it.
    fn unpack(self: *Receiver) void {
        const folder = inbox.unpackedPath(self.partial);
        if (vfs.ask(folder, .Metadata) == .Metadata) { // a crash has left it
            _ = vfs.ask(folder, .RemoveDirAll);
        }
        self.working = true;
        const action: packed_folder.Action = .{ .UnpackFolder = .{ .new_path = folder, .entries = self.offer.entries } };
        packed_folder.start(self.partial, action, protocol.timeout.hash, Context.of(.unpack));
    }

    fn unpacked(self: *Receiver, reply: packed_folder.Reply) void {
        if (self.stopping) return;
        self.working = false;
        if (reply == .Ok) self.store() else self.failUnpacking(reply.problem());
    }

    fn failUnpacking(self: *Receiver, problem: vfs.Problem) void {
        if (problem.kind != .Other) return self.failDisk(problem);
        self.discard(); // it would be refused again
        nectar.print(0, "the folder {s} of {s} was not taken: {s}", .{ self.offer.name, self.peer.node, problem.text });
        self.fail(.Refused, format("{s} does not take the folder: {s}", .{ self.our.node, problem.text }));
    }

    fn store(self: *Receiver) void {
        const message: protocol.ToMain = .{ .Store = .{
            .partial = self.partial,
            .name = self.offer.name,
            .folder = self.isFolder(),
        } };
        const answer: protocol.Answer = switch (nectar.sendAndAwait(.{
            .target = self.main,
            .body = nectar.json.stringify(message),
            .expects_response = protocol.timeout.disk,
        })) {
            .response => |response| protocol.parseAnswer(response.body),
            .send_error => .{ .Err = "its file_transfer does not answer" },
        };
        switch (answer) {
            .Stored => {
                if (self.isFolder()) self.discard();
                self.written = self.offer.size;
                respond(answer);
                self.end(.done);
            },
            .Err => |text| self.fail(.Disk, format("{s} could not store the file: {s}", .{ self.our.node, text })),
            else => self.fail(.Other, format("{s} could not store the file", .{self.our.node})),
        }
    }

    fn tick(self: *Receiver) void {
        self.ticks += 1;
        self.silent_ticks += 1;
        if (self.silent_ticks > protocol.silence_ticks and !self.stopping) {
            const line = "{s} has gone silent; {s} stays as far as it has arrived";
            nectar.print(1, line, .{ self.peer.node, self.offer.name });
            return self.end(.failed);
        }
        self.report();
        protocol.armTick();
    }

    fn stopped(self: *Receiver) void {
        respond(.Stopped);
        self.end(.failed);
    }

    fn discard(self: *Receiver) void {
        self.written = 0;
        const removed = vfs.ask(self.partial, .RemoveFile);
        if (removed != .Ok) nectar.print(0, "cannot remove {s}: {s}", .{ self.partial, removed.problem().text });
    }

    /// To the sender, whatever it waits for.
    fn giveUp(self: *Receiver, kind: protocol.Kind, reason: []const u8, again: u32) void {
        const message: protocol.ToWorker = .{ .GiveUp = .{ .kind = kind, .reason = reason, .again = again } };
        nectar.send(.{ .target = self.peer, .body = nectar.json.stringify(message) });
    }

    fn failDisk(self: *Receiver, problem: vfs.Problem) void {
        self.fail(if (problem.kind == .Other) .Other else .Disk, self.diskTrouble(problem));
    }

    fn diskTrouble(self: *Receiver, problem: vfs.Problem) []const u8 {
        const node = self.our.node;
        const come = protocol.arrived(self.written, self.offer.size);
        if (problem.full) {
            const full = "the disk of {s} is full; make room there and run the same command again{s}";
            return format(full, .{ node, come });
        }
        return format("{s} cannot store the file: {s}{s}", .{ node, problem.text, come });
    }

    /// The answer to a Begin or Commit, and the end; the partial file stays as it is.
    fn fail(self: *Receiver, kind: protocol.Kind, reason: []const u8) void {
        respond(.{ .Failed = .{ .reason = reason, .kind = kind, .received = self.written } });
        self.end(.failed);
    }

    fn end(self: *Receiver, state: protocol.State) void {
        self.state = state;
        self.report();
    }

    fn report(self: *Receiver) void {
        const busy = self.working or self.next_write > self.written;
        if (self.reported) |last| if (last[0] == self.state and last[1] == self.written and last[2] == busy) return;
        self.reported = .{ self.state, self.written, busy };
        const message: protocol.ToMain = .{ .Report = .{
            .id = format("{s}/{s}", .{ self.peer.node, self.offer.id }),
            .direction = .receiving,
            .peer = self.peer.node,
            .name = self.offer.name,
            .partial = self.partial,
            .state = self.state,
            .bytes = self.written,
            .size = self.offer.size,
            .resumed_from = self.resumed_from,
            .busy = busy,
        } };
        nectar.send(.{ .target = self.main, .body = nectar.json.stringify(message) });
    }
};
