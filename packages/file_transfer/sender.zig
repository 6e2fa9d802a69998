//! The sending side of one transfer. It offers the file, hands out chunks as they are asked for, and decides at the
//! end.
//!
//! The user's Send is answered under the prompt of that Send. So everything that may end the transfer happens while
//! an outcome of a request is handled that was itself sent under it: the Offer, Begin, Commit, Alive, the hash, or a
//! tick. Chunk requests, Cancel and GiveUp come with other prompts or none: what they bring about is noted in
//! `trouble`, and the next tick acts on it.
//!
//! Where the other node says that the offer may be made again, it is, until that node takes it or the user has enough.
//! Each offer begins an attempt: outcomes of what was asked for in an earlier one concern nobody.

const std = @import("std");
const nectar = @import("nectar");
const packed_folder = @import("packed.zig");
const protocol = @import("protocol.zig");
const vfs = nectar.vfs;

const Context = protocol.Context;
const format = nectar.format;
const respond = protocol.respond;

pub const Sender = struct {
    our: nectar.Address,
    main: nectar.Address,
    job: protocol.Send,
    file: vfs.Metadata,
    /// What a folder is as one file; null: it is a file.
    folder: ?packed_folder.Folder = null,
    state: protocol.State = .starting,
    /// The receiving worker, once it has accepted.
    peer: ?nectar.Address = null,
    hash: ?[32]u8 = null,
    /// Whether it was asked for.
    hashing: bool = false,
    /// Whether any chunk was.
    pulled_from: bool = false,
    /// The receiver's answer to Begin.
    theirs: ?Theirs = null,
    /// Bytes that the receiver has on its disk.
    bytes: u64 = 0,
    resumed_from: u64 = 0,
    /// The same of the first attempt that was accepted.
    first_resumed_from: ?u64 = null,
    /// In the contexts of what the peer is asked for.
    attempt: u32 = 0,
    /// Ticks until the next one, while there is none.
    wait_ticks: u32 = 0,
    /// What is waited for meanwhile.
    wait_note: []const u8 = "",
    /// Chunks being read.
    reads: u32 = 0,
    ticks: u32 = 0,
    alive_outstanding: bool = false,
    reported: ?struct { protocol.State, u64 } = null,
    /// Of a folder, files that have come whole, and how many are whole at the ends of the last chunks.
    files: u64 = 0,
    marks: [protocol.max_reads]packed_folder.Mark = @splat(.{}),
    next_mark: usize = 0,
    trouble: ?Trouble = null,

    const Theirs = union(enum) { received: [32]u8, have: struct { hash: [32]u8, next: u32 } };
    /// `again`: seconds until the next attempt; 0: it is the end.
    const Trouble = struct { kind: protocol.Kind, reason: []const u8, tell_peer: bool, again: u32 = 0 };

    /// The whole transfer; the current prompt is the Send.
    pub fn run(our: nectar.Address, main: nectar.Address, job: protocol.Send) !void {
        const lasting = nectar.allocator;
        var self: Sender = .{
            .our = our,
            .main = try main.dupe(lasting),
            .job = .{
                .id = try lasting.dupe(u8, job.id),
                .path = try lasting.dupe(u8, job.path),
                .name = try lasting.dupe(u8, job.name),
                .to = try lasting.dupe(u8, job.to),
                .folder = job.folder,
            },
            .file = undefined,
        };
        self.file = (if (job.folder) try self.lookIntoFolder() else self.look()) orelse return;
        self.offer();
        protocol.armTick();
        while (!self.state.over()) switch (nectar.receive()) {
            .request => |request| self.handle(request),
            .response => |response| if (Context.parse(response.context)) |context| try self.outcome(context, response),
            .send_error => |failed| if (Context.parse(failed.context)) |context| self.undelivered(context, failed.kind),
        };
    }

    /// The file as it is at the start; null: the transfer is over.
    fn look(self: *Sender) ?vfs.Metadata {
        switch (vfs.ask(self.job.path, .Metadata)) {
            .Metadata => |file| {
                if (file.file_type == .File) return file;
                self.fail(.NotFound, format("{s} is not a file", .{protocol.presentable(self.job.path)}));
            },
            else => |reply| {
                const problem = reply.problem();
                self.fail(protocol.kindOf(problem.kind), self.unreadable(problem));
            },
        }
        return null;
    }

    /// The same of a folder, as one file.
    fn lookIntoFolder(self: *Sender) !?vfs.Metadata {
        switch (packed_folder.ask(self.job.path, .PackedMetadata, protocol.timeout.disk)) {
            .Packed => |folder| {
                self.folder = folder;
                self.folder.?.left_out = try nectar.allocator.dupe(u8, protocol.presentable(folder.left_out));
                return .{ .file_type = .File, .len = folder.len, .modified = folder.version };
            },
            else => |reply| {
                const problem = reply.problem();
                self.fail(protocol.kindOf(problem.kind), self.unreadable(problem));
            },
        }
        return null;
    }

    fn offer(self: *Sender) void {
        self.attempt += 1;
        var offered_file: protocol.Offer = .{
            .id = self.job.id,
            .name = self.job.name,
            .size = self.file.len,
            .modified = self.file.modified,
            .chunk = protocol.max_chunk_bytes,
        };
        const main: nectar.Address = .{ .node = self.job.to, .process = self.main.process };
        if (self.folder) |folder| {
            offered_file.entries = folder.entries;
            self.tell(main, protocol.ToMain{ .OfferFolder = offered_file }, protocol.timeout.offer, .offer);
        } else self.tell(main, protocol.ToMain{ .Offer = offered_file }, protocol.timeout.offer, .offer);
    }

    /// Offer the file again after so many seconds; what the peer had to say so far is void.
    fn wait(self: *Sender, seconds: u32, note_text: []const u8) void {
        self.attempt += 1;
        self.peer = null;
        self.theirs = null;
        self.trouble = null;
        self.alive_outstanding = false;
        self.state = .waiting;
        self.reported = null; // the note may be another one
        const capped: u32 = @max(1, @min(seconds, protocol.max_again));
        self.wait_ticks = capped * 1000 / protocol.tick_milliseconds;
        nectar.allocator.free(self.wait_note);
        self.wait_note = nectar.allocator.dupe(u8, protocol.presentable(note_text)) catch @panic("out of memory");
    }

    /// What the peer, or main, asks.
    fn handle(self: *Sender, request: nectar.Request) void {
        const message = nectar.json.parse(protocol.ToWorker, request.body) catch {
            if (request.wantsAnswer()) respond(.{ .Err = "not understood" });
            return;
        };
        if (request.source.eql(self.main)) {
            if (message == .Cancel) self.note(.Cancelled, "the transfer was cancelled", true);
            return;
        }
        const peer = self.peer orelse return;
        if (!request.source.eql(peer)) return;
        switch (message) {
            .Chunk => |chunk| self.read(chunk.offset, chunk.length, chunk.have),
            .GiveUp => |given| self.noteTrouble(.{
                .kind = given.kind,
                .reason = given.reason,
                .tell_peer = false,
                .again = given.again,
            }),
            else => if (request.wantsAnswer()) respond(.{ .Err = "not understood" }),
        }
    }

    /// Have a chunk read; whatever vfs says answers the peer.
    fn read(self: *Sender, offset: u64, length: u32, have: u64) void {
        const end = std.math.add(u64, offset, length) catch std.math.maxInt(u64);
        const sensible = length > 0 and length <= protocol.max_chunk_bytes and end <= self.file.len;
        if (!sensible or self.reads >= protocol.max_reads) {
            return respond(.{ .Err = "no such chunk, or too many at once" });
        }
        self.bytes = @max(self.bytes, @min(have, self.file.len));
        self.reads += 1;
        self.pulled_from = true;
        if (self.folder) |folder| {
            const read_packed: packed_folder.Action = .{ .PackedReadAt = .{
                .version = folder.version,
                .offset = offset,
                .length = length,
            } };
            return packed_folder.start(self.job.path, read_packed, protocol.timeout.disk, Context.of(.read));
        }
        const read_at = .{ .ReadAt = .{ .offset = offset, .length = length, .hash = true } };
        vfs.startOther(self.job.path, read_at, protocol.timeout.disk, Context.of(.read), false);
    }

    fn outcome(self: *Sender, context: Context, response: nectar.Response) !void {
        switch (context.purpose) {
            .tick => self.tick(),
            .read => if (self.folder == null) self.chunkRead(vfs.parse(response.body)) else
                self.packedRead(packed_folder.parse(response.body)),
            .hash => self.hashed(parseHash(response.body)),
            .offer, .begin, .commit, .alive => if (context.offset == self.attempt) {
                const answer = protocol.parseAnswer(response.body);
                switch (context.purpose) {
                    .offer => try self.offered(answer, response.source),
                    .begin => self.pulled(answer),
                    .commit => self.committed(answer),
                    else => self.alive(answer),
                }
            },
            else => {},
        }
    }

    fn undelivered(self: *Sender, context: Context, kind: nectar.SendErrorKind) void {
        switch (context.purpose) {
            .tick => self.tick(),
            .read => self.chunkRead(vfs.unanswered(kind)),
            .hash => self.hashed(vfs.unanswered(kind)),
            .offer, .begin, .commit, .alive => if (context.offset == self.attempt) self.lost(kind),
            else => {},
        }
    }

    fn offered(self: *Sender, answer: protocol.Answer, source: nectar.Address) !void {
        switch (answer) {
            .Accepted => |accepted| {
                if (!std.mem.eql(u8, source.node, self.job.to)) return self.confused();
                self.peer = try source.dupe(nectar.allocator);
                self.resumed_from = @min(accepted.have, self.file.len);
                self.bytes = self.resumed_from;
                self.state = .sending;
                // Of the chunks that the peer asks for, vfs hashes the bytes on the way. What it does not ask for is
                // read beside them.
                if (self.first_resumed_from == null and self.resumed_from > 0) self.hashFile();
                self.first_resumed_from = self.first_resumed_from orelse self.resumed_from;
                self.begin(0);
            },
            .Refused => |refused| if (refused.again > 0) {
                self.wait(refused.again, if (refused.note.len > 0) refused.note else refused.reason);
            } else self.fail(refused.kind, protocol.presentable(refused.reason)),
            .Err => if (self.folder != null) {
                self.fail(.Refused, format("{s} takes no folders yet: its node is of an older release", .{self.job.to}));
            } else self.confused(),
            else => self.confused(),
        }
    }

    fn begin(self: *Sender, after: u32) void {
        self.theirs = null;
        self.state = .sending;
        const message: protocol.ToWorker = .{ .Begin = .{ .after = after } };
        self.tell(self.peer.?, message, protocol.timeout.transfer, .begin);
    }

    /// Answers the Chunk: its prompt is back. The bytes go by as the blob.
    fn chunkRead(self: *Sender, reply: vfs.Reply) void {
        self.reads -= 1;
        if (reply == .Read) return nectar.respond(.{ .body = read_body, .inherit = true });
        const problem = reply.problem();
        self.note(protocol.kindOf(problem.kind), self.unreadable(problem), true);
        respond(.{ .Err = "the sender cannot read the file" });
    }

    /// The same of a folder.
    fn packedRead(self: *Sender, reply: packed_folder.Reply) void {
        if (reply != .PackedRead) return self.chunkRead(.{ .Err = reply.problem() });
        self.marks[self.next_mark] = reply.PackedRead;
        self.next_mark = (self.next_mark + 1) % self.marks.len;
        self.chunkRead(.Read);
    }

    /// Ask for the hash, once. That of a folder is known at the end: what has been read in order is hashed by then.
    fn hashFile(self: *Sender) void {
        if (self.hashing) return;
        if (self.folder) |folder| {
            if (self.state != .checking) return;
            self.hashing = true;
            const hash: packed_folder.Action = .{ .PackedHash = .{ .version = folder.version } };
            return packed_folder.start(self.job.path, hash, protocol.timeout.hash, Context.of(.hash));
        }
        self.hashing = true;
        vfs.start(self.job.path, .Hash, protocol.timeout.hash, Context.of(.hash), false);
    }

    /// Of a file or a folder.
    fn parseHash(body: []const u8) vfs.Reply {
        const reply = packed_folder.parse(body);
        return if (reply == .Hash) .{ .Hash = reply.Hash } else .{ .Err = reply.problem() };
    }

    fn hashed(self: *Sender, reply: vfs.Reply) void {
        switch (reply) {
            .Hash => |hash| {
                self.hash = hash;
                self.compare();
            },
            else => self.abandon(protocol.kindOf(reply.problem().kind), self.unreadable(reply.problem()), false),
        }
    }

    fn pulled(self: *Sender, answer: protocol.Answer) void {
        switch (answer) {
            .Received => |received| {
                self.theirs = .{ .received = received.hash };
                self.bytes = self.file.len;
            },
            .Have => |have| self.theirs = .{ .have = .{ .hash = have.hash, .next = have.next } },
            .Failed => |failed| return self.failedThere(failed),
            else => return self.confused(),
        }
        self.state = .checking;
        self.hashFile();
        self.compare();
    }

    /// Decide, once both hashes are known.
    fn compare(self: *Sender) void {
        const ours = self.hash orelse return;
        const theirs = self.theirs orelse return;
        if (self.changed()) |reason| return self.abandon(.Changed, reason, true);
        switch (theirs) {
            .received => {}, // the receiver compares and, if they differ, discards
            .have => |have| if (!std.mem.eql(u8, &have.hash, &ours)) return self.begin(have.next),
        }
        const message: protocol.ToWorker = .{ .Commit = .{ .hash = ours } };
        self.tell(self.peer.?, message, protocol.timeout.disk, .commit);
    }

    /// Of a folder each file is looked at when it is read, and is what it was.
    fn changed(self: *Sender) ?[]const u8 {
        if (self.folder != null) return null;
        switch (vfs.ask(self.job.path, .Metadata)) {
            .Metadata => |now| if (now.len == self.file.len and now.modified == self.file.modified) return null,
            else => {},
        }
        return format(
            "{s} changed while it was being sent; run the same command again to send it as it is now",
            .{self.job.name},
        );
    }

    fn committed(self: *Sender, answer: protocol.Answer) void {
        switch (answer) {
            .Stored => |stored| {
                const sent = if (self.theirs.? == .have) 0 else self.file.len - self.first_resumed_from.?;
                respond(.{ .Done = .{
                    .name = protocol.presentable(stored.name),
                    .bytes = self.file.len,
                    .sent = sent,
                    .hash = format("{x}", .{&self.hash.?}),
                    .path = protocol.presentable(stored.path),
                    .files = if (self.folder) |folder| folder.files else 0,
                    .left_out = if (self.folder) |folder| folder.left_out else "",
                } });
                self.bytes = self.file.len;
                self.state = .done;
                self.report();
            },
            .Failed => |failed| self.failedThere(failed),
            else => self.confused(),
        }
    }

    fn alive(self: *Sender, answer: protocol.Answer) void {
        self.alive_outstanding = false;
        switch (answer) {
            .Alive => |status| self.bytes = @max(self.bytes, @min(status.bytes, self.file.len)),
            .Gone => if (self.trouble == null) {
                const restarted = "{s} was restarted; run the same command again{s}";
                self.fail(.Offline, format(restarted, .{ self.job.to, self.arrived() }));
            },
            else => self.confused(),
        }
    }

    fn tick(self: *Sender) void {
        if (self.trouble) |trouble| {
            if (trouble.tell_peer) return self.abandon(trouble.kind, trouble.reason, false);
            if (trouble.again == 0) return self.fail(trouble.kind, trouble.reason);
            self.wait(trouble.again, trouble.reason);
        }
        self.ticks +%= 1;
        if (self.wait_ticks > 0) {
            self.wait_ticks -= 1;
            if (self.wait_ticks == 0) self.offer();
        }
        if (self.peer) |peer| if (self.ticks % protocol.alive_every_ticks == 0 and !self.alive_outstanding) {
            self.alive_outstanding = true;
            self.tell(
                .{ .node = self.job.to, .process = self.main.process },
                protocol.ToMain{ .Alive = .{ .worker = format("{f}", .{peer.process}) } },
                protocol.timeout.alive,
                .alive,
            );
        };
        // A peer that has not pulled by now is hashing a file that it has already.
        const late = self.ticks % protocol.alive_every_ticks == 0;
        if (late and self.state == .sending and !self.pulled_from) self.hashFile();
        self.report();
        protocol.armTick();
    }

    /// Something that ends the transfer at the next tick; the first counts.
    fn note(self: *Sender, kind: protocol.Kind, reason: []const u8, tell_peer: bool) void {
        self.noteTrouble(.{ .kind = kind, .reason = reason, .tell_peer = tell_peer });
    }

    fn noteTrouble(self: *Sender, trouble: Trouble) void {
        // One that is not the end gives way to one that is: the user may have enough meanwhile.
        if (self.trouble) |known| if (known.again == 0 or trouble.again > 0) return;
        self.trouble = trouble;
        self.trouble.?.reason = nectar.allocator.dupe(u8, protocol.presentable(trouble.reason)) catch
            @panic("out of memory");
    }

    /// The peer has no more to do with it: act on what is noted, if that says why.
    fn ends(self: *Sender) bool {
        const trouble = self.trouble orelse return false;
        if (trouble.again > 0) self.wait(trouble.again, trouble.reason) else self.fail(trouble.kind, trouble.reason);
        return true;
    }

    /// The receiver gave up in answer to Begin or Commit; what is noted of it or of us says more exactly why.
    fn failedThere(self: *Sender, failed: protocol.Failed) void {
        if (self.ends()) return;
        self.bytes = @min(failed.received, self.file.len);
        self.fail(failed.kind, protocol.presentable(failed.reason));
    }

    fn lost(self: *Sender, kind: nectar.SendErrorKind) void {
        if (self.ends()) return;
        const offline = "{s} is offline; run the same command again when it is back{s}";
        const silent = "{s} does not answer, or runs no file_transfer; run the same command again later{s}";
        const about = .{ self.job.to, self.arrived() };
        switch (kind) {
            .offline => self.fail(.Offline, format(offline, about)),
            .timeout => self.fail(.Timeout, format(silent, about)),
        }
    }

    fn confused(self: *Sender) void {
        const reason = "{s} gave an answer that makes no sense; it may run another version";
        self.abandon(.Other, format(reason, .{self.job.to}), false);
    }

    /// Tell the peer that nothing more will come, and fail.
    fn abandon(self: *Sender, kind: protocol.Kind, reason: []const u8, discard: bool) void {
        if (self.peer) |peer| {
            const give_up: protocol.ToWorker = .{ .GiveUp = .{ .kind = kind, .reason = reason, .discard = discard } };
            nectar.send(.{ .target = peer, .body = nectar.json.stringify(give_up) });
        }
        if (discard) self.bytes = 0;
        self.fail(kind, reason);
    }

    /// The end; only under the prompt of the Send.
    fn fail(self: *Sender, kind: protocol.Kind, reason: []const u8) void {
        respond(.{ .Failed = .{ .reason = reason, .kind = kind, .received = self.bytes } });
        self.state = .failed;
        self.report();
    }

    fn unreadable(self: *Sender, problem: vfs.Problem) []const u8 {
        const name = protocol.presentable(self.job.name);
        if (problem.kind == .NotFound) return format("{s} is not there on {s}, or not any more", .{ name, self.our.node });
        return format("{s} cannot be read on {s}: {s}", .{ name, self.our.node, problem.text });
    }

    /// Files of a folder that are whole in what the receiver has, as far as we know.
    fn countFiles(self: *Sender) void {
        const folder = self.folder orelse return;
        if (self.bytes >= folder.len) self.files = folder.files;
        for (&self.marks) |*mark| if (mark.end > 0 and mark.end <= self.bytes) {
            self.files = @max(self.files, mark.files);
            mark.end = 0;
        };
    }

    fn arrived(self: *Sender) []const u8 {
        return protocol.arrived(self.bytes, self.file.len);
    }

    fn tell(
        self: *Sender,
        target: nectar.Address,
        message: anytype,
        seconds: u64,
        purpose: Context.Purpose,
    ) void {
        const context: Context = .{ .purpose = purpose, .offset = self.attempt };
        nectar.send(.{
            .target = target,
            .body = nectar.json.stringify(message),
            .expects_response = seconds,
            .context = std.mem.asBytes(&context),
        });
    }

    fn report(self: *Sender) void {
        if (self.reported) |last| if (last[0] == self.state and last[1] == self.bytes) return;
        self.reported = .{ self.state, self.bytes };
        self.countFiles();
        const message: protocol.ToMain = .{ .Report = .{
            .id = self.job.id,
            .direction = .sending,
            .peer = self.job.to,
            .name = self.job.name,
            .state = self.state,
            .bytes = self.bytes,
            .size = self.file.len,
            .resumed_from = self.resumed_from,
            .files = self.files,
            .of_files = if (self.folder) |folder| folder.files else 0,
            .note = if (self.state == .waiting) self.wait_note else "",
        } };
        nectar.send(.{ .target = self.main, .body = nectar.json.stringify(message) });
    }
};

/// `protocol.Answer.Read`, without building it for each chunk.
const read_body = "\"Read\"";
