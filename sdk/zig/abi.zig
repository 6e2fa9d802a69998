//! The imports of `nectar:process/standard@0.7.0` and their types, laid out as the Component Model's canonical ABI
//! has them in linear memory. Process authors use `nectar.zig`; nothing here allocates or decides.
//!
//! How the signatures follow from the WIT (Component Model, Canonical ABI, flattening): parameters are passed as up
//! to 16 flat values; a function that has more takes one pointer to a record of its parameters instead (send-request:
//! 27, send-and-await-response: 24). Results of more than one flat value are written through a pointer that comes
//! last. An `extern struct` has the alignment and padding of a WIT record, and a tag byte in front of an `extern
//! union` those of a variant, so each type here is its own lifting and lowering.

/// `list<T>`, and `string` with T = u8.
pub fn List(comptime T: type) type {
    return extern struct {
        ptr: [*]const T,
        len: usize,

        pub const Item = T;

        pub fn of(items: []const T) @This() {
            // Zig gives an empty slice any address; the Canonical ABI wants one inside the memory for a list of any
            // length.
            const ptr = if (items.len == 0) @as([*]const T, @ptrFromInt(@alignOf(T))) else items.ptr;
            return .{ .ptr = ptr, .len = items.len };
        }

        pub fn slice(self: @This()) []const T {
            return self.ptr[0..self.len];
        }
    };
}

/// `option<T>`.
pub fn Option(comptime T: type) type {
    return extern struct {
        some: bool,
        value: T,

        pub const none: @This() = .{ .some = false, .value = undefined };

        pub fn of(value: T) @This() {
            return .{ .some = true, .value = value };
        }

        pub fn get(self: @This()) ?T {
            return if (self.some) self.value else null;
        }

        /// Calls `visitor` with a pointer to what is there; see `each` in `memory.zig`.
        pub fn visit(self: *const @This(), visitor: anytype) void {
            if (self.some) visitor(&self.value);
        }
    };
}

pub const Bytes = List(u8);

pub const ProcessId = extern struct { process: Bytes, package: Bytes, publisher: Bytes };
pub const Address = extern struct { node: Bytes, process: ProcessId };
pub const Blob = extern struct { mime: Option(Bytes), bytes: Bytes };
pub const Capability = extern struct { issuer: Address, params: Bytes };

pub const Request = extern struct {
    inherit: bool,
    expects_response: Option(u64),
    body: Bytes,
    metadata: Option(Bytes),
    capabilities: List(Capability),
};

pub const Response = extern struct {
    inherit: bool,
    body: Bytes,
    metadata: Option(Bytes),
    capabilities: List(Capability),
};

pub const ResponseAndContext = extern struct { response: Response, context: Option(Bytes) };

pub const Message = extern struct {
    tag: enum(u8) { request, response },
    value: extern union { request: Request, response: ResponseAndContext },

    pub fn visit(self: *const Message, visitor: anytype) void {
        switch (self.tag) {
            .request => visitor(&self.value.request),
            .response => visitor(&self.value.response),
        }
    }
};

pub const OnExitRequest = extern struct { target: Address, request: Request, blob: Option(Blob) };

pub const OnExit = extern struct {
    tag: enum(u8) { none, restart, requests },
    requests: List(OnExitRequest),

    pub fn visit(self: *const OnExit, visitor: anytype) void {
        if (self.tag == .requests) visitor(&self.requests);
    }
};

pub const SendErrorKind = enum(u8) { offline, timeout };
pub const SpawnError = enum(u8) { name_taken, no_file_at_path };

pub const SendError = extern struct { kind: SendErrorKind, message: Message, blob: Option(Blob) };

/// `result<T, E>`.
pub fn Result(comptime T: type, comptime E: type) type {
    return extern struct {
        tag: enum(u8) { ok, err },
        value: extern union { ok: T, err: E },

        pub fn visit(self: *const @This(), visitor: anytype) void {
            switch (self.tag) {
                .ok => visitor(&self.value.ok),
                .err => visitor(&self.value.err),
            }
        }
    };
}

pub const Arrival = extern struct { source: Address, message: Message };
pub const Failure = extern struct { err: SendError, context: Option(Bytes) };

pub const Received = Result(Arrival, Failure);
pub const Awaited = Result(Arrival, SendError);
pub const Spawned = Result(ProcessId, SpawnError);

pub const SendRequest = extern struct {
    target: Address,
    request: Request,
    context: Option(Bytes),
    blob: Option(Blob),
};

pub const SendAndAwait = extern struct { target: Address, request: Request, blob: Option(Blob) };

const module = "nectar:process/standard@0.7.0";

pub const printToTerminal = @extern(
    *const fn (verbosity: u32, ptr: [*]const u8, len: usize) callconv(.c) void,
    .{ .name = "print-to-terminal", .library_name = module },
);
/// The variant flattened: its tag, and the list of `requests` (any two values for the other cases).
pub const setOnExit = @extern(
    *const fn (tag: u32, ptr: ?[*]const OnExitRequest, len: usize) callconv(.c) void,
    .{ .name = "set-on-exit", .library_name = module },
);
pub const getOnExit = @extern(
    *const fn (result: *OnExit) callconv(.c) void,
    .{ .name = "get-on-exit", .library_name = module },
);
pub const getState = @extern(
    *const fn (result: *Option(Bytes)) callconv(.c) void,
    .{ .name = "get-state", .library_name = module },
);
pub const setState = @extern(
    *const fn (ptr: [*]const u8, len: usize) callconv(.c) void,
    .{ .name = "set-state", .library_name = module },
);
pub const clearState = @extern(
    *const fn () callconv(.c) void,
    .{ .name = "clear-state", .library_name = module },
);
/// 13 flat parameters and the result: name 3, path 2, on-exit 3, two lists 4, public 1.
pub const spawn = @extern(
    *const fn (
        has_name: u32,
        name_ptr: ?[*]const u8,
        name_len: usize,
        path_ptr: [*]const u8,
        path_len: usize,
        on_exit_tag: u32,
        on_exit_ptr: ?[*]const OnExitRequest,
        on_exit_len: usize,
        request_ptr: [*]const Capability,
        request_len: usize,
        grant_ptr: [*]const ProcessId,
        grant_len: usize,
        public: u32,
        result: *Spawned,
    ) callconv(.c) void,
    .{ .name = "spawn", .library_name = module },
);
pub const saveCapabilities = @extern(
    *const fn (ptr: [*]const Capability, len: usize) callconv(.c) void,
    .{ .name = "save-capabilities", .library_name = module },
);
pub const dropCapabilities = @extern(
    *const fn (ptr: [*]const Capability, len: usize) callconv(.c) void,
    .{ .name = "drop-capabilities", .library_name = module },
);
pub const ourCapabilities = @extern(
    *const fn (result: *List(Capability)) callconv(.c) void,
    .{ .name = "our-capabilities", .library_name = module },
);
pub const receive = @extern(
    *const fn (result: *Received) callconv(.c) void,
    .{ .name = "receive", .library_name = module },
);
pub const getBlob = @extern(
    *const fn (result: *Option(Blob)) callconv(.c) void,
    .{ .name = "get-blob", .library_name = module },
);
pub const sendRequest = @extern(
    *const fn (params: *const SendRequest) callconv(.c) void,
    .{ .name = "send-request", .library_name = module },
);
pub const sendRequests = @extern(
    *const fn (ptr: [*]const SendRequest, len: usize) callconv(.c) void,
    .{ .name = "send-requests", .library_name = module },
);
/// 14 flat parameters: response 8 (inherit, body 2, metadata 3, capabilities 2), blob 6 (tag, mime 3, bytes 2).
pub const sendResponse = @extern(
    *const fn (
        inherit: u32,
        body_ptr: [*]const u8,
        body_len: usize,
        has_metadata: u32,
        metadata_ptr: ?[*]const u8,
        metadata_len: usize,
        capabilities_ptr: [*]const Capability,
        capabilities_len: usize,
        has_blob: u32,
        has_mime: u32,
        mime_ptr: ?[*]const u8,
        mime_len: usize,
        bytes_ptr: ?[*]const u8,
        bytes_len: usize,
    ) callconv(.c) void,
    .{ .name = "send-response", .library_name = module },
);
pub const sendAndAwaitResponse = @extern(
    *const fn (params: *const SendAndAwait, result: *Awaited) callconv(.c) void,
    .{ .name = "send-and-await-response", .library_name = module },
);
