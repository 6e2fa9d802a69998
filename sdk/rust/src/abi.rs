//! The imports of `nectar:process/standard@0.7.0` and their types, laid out as the Component Model's canonical ABI has them in
//! linear memory. `lib.rs` makes them values of Rust; nothing here decides.
//!
//! Parameters are up to 16 flat values; a function with more takes one pointer to a record of them. A result of more than one
//! value is written through a pointer that comes last. A `repr(C)` struct has the alignment and padding of a WIT record, and a
//! tag byte before a union those of a variant.


/// `list<T>`, and `string` with `T = u8`.
#[repr(C)]
pub struct List<T> {
    pub ptr: *mut T,
    pub len: usize,
}

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<T> {}

impl<T> List<T> {
    /// What is lent to the host for one call.
    pub fn of(items: &[T]) -> Self {
        List { ptr: items.as_ptr() as *mut T, len: items.len() }
    }

    /// What the host has put into memory of `cabi_realloc`'s.
    pub unsafe fn take(self) -> Vec<T> {
        if self.len == 0 {
            return Vec::new();
        }
        Vec::from_raw_parts(self.ptr, self.len, self.len)
    }
}

/// `option<T>`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Maybe<T: Copy> {
    pub some: u8,
    pub value: std::mem::MaybeUninit<T>,
}

impl<T: Copy> Maybe<T> {
    pub fn of(value: Option<T>) -> Self {
        match value {
            Some(value) => Maybe { some: 1, value: std::mem::MaybeUninit::new(value) },
            None => Maybe { some: 0, value: std::mem::MaybeUninit::uninit() },
        }
    }

    pub unsafe fn get(self) -> Option<T> {
        if self.some == 0 {
            return None;
        }
        Some(self.value.assume_init())
    }
}

pub type Text = List<u8>;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ProcessId {
    pub process: Text,
    pub package: Text,
    pub publisher: Text,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Address {
    pub node: Text,
    pub process: ProcessId,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Blob {
    pub mime: Maybe<Text>,
    pub bytes: Text,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Capability {
    pub issuer: Address,
    pub params: Text,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Request {
    pub inherit: u8,
    pub expects_response: Maybe<u64>,
    pub body: Text,
    pub metadata: Maybe<Text>,
    pub capabilities: List<Capability>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Response {
    pub inherit: u8,
    pub body: Text,
    pub metadata: Maybe<Text>,
    pub capabilities: List<Capability>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ResponseAndContext {
    pub response: Response,
    pub context: Maybe<Text>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union OneOf<A: Copy, B: Copy> {
    pub first: A,
    pub second: B,
}

/// A variant of two cases: `message`, and `result<A, B>`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Either<A: Copy, B: Copy> {
    pub tag: u8,
    pub value: OneOf<A, B>,
}

pub type Message = Either<Request, ResponseAndContext>;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct SendError {
    pub kind: u8,
    pub message: Message,
    pub blob: Maybe<Blob>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Arrival {
    pub source: Address,
    pub message: Message,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Failure {
    pub error: SendError,
    pub context: Maybe<Text>,
}

pub type Received = Either<Arrival, Failure>;
pub type Awaited = Either<Arrival, SendError>;
pub type Spawned = Either<ProcessId, u8>;

#[repr(C)]
pub struct SendRequest {
    pub target: Address,
    pub request: Request,
    pub context: Maybe<Text>,
    pub blob: Maybe<Blob>,
}

#[repr(C)]
pub struct SendAndAwait {
    pub target: Address,
    pub request: Request,
    pub blob: Maybe<Blob>,
}

#[link(wasm_import_module = "nectar:process/standard@0.7.0")]
extern "C" {
    #[link_name = "print-to-terminal"]
    pub fn print_to_terminal(verbosity: u32, ptr: *const u8, len: usize);
    /// `none` is 0 and `restart` 1; the list is for the third case.
    #[link_name = "set-on-exit"]
    pub fn set_on_exit(tag: u32, ptr: *const u8, len: usize);
    #[link_name = "get-state"]
    pub fn get_state(result: *mut Maybe<Text>);
    #[link_name = "set-state"]
    pub fn set_state(ptr: *const u8, len: usize);
    #[link_name = "clear-state"]
    pub fn clear_state();
    pub fn spawn(
        has_name: u32, name: *const u8, name_len: usize, path: *const u8, path_len: usize, on_exit: u32,
        on_exit_ptr: *const u8, on_exit_len: usize, asks: *const Capability, asks_len: usize,
        grants: *const ProcessId, grants_len: usize, public: u32, result: *mut Spawned,
    );
    #[link_name = "our-capabilities"]
    pub fn our_capabilities(result: *mut List<Capability>);
    #[link_name = "save-capabilities"]
    pub fn save_capabilities(ptr: *const Capability, len: usize);
    pub fn receive(result: *mut Received);
    #[link_name = "get-blob"]
    pub fn get_blob(result: *mut Maybe<Blob>);
    #[link_name = "send-request"]
    pub fn send_request(params: *const SendRequest);
    #[link_name = "send-response"]
    pub fn send_response(
        inherit: u32, body: *const u8, body_len: usize, has_metadata: u32, metadata: *const u8, metadata_len: usize,
        capabilities: *const Capability, capabilities_len: usize, has_blob: u32, has_mime: u32, mime: *const u8,
        mime_len: usize, bytes: *const u8, bytes_len: usize,
    );
    #[link_name = "send-and-await-response"]
    pub fn send_and_await_response(params: *const SendAndAwait, result: *mut Awaited);
}

