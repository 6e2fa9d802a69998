//! Does what the words of a request's body say, with Rust's standard library, and answers with what came of it: see
//! `visitor.cpp`, which does the same.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs, mem, ptr, slice, thread};

/// `list<u8>` and `string` in the canonical ABI; other lists are not looked into.
#[repr(C)]
#[derive(Clone, Copy)]
struct List {
    data: *mut u8,
    size: usize,
}

impl List {
    const EMPTY: List = List { data: 8 as *mut u8, size: 0 };

    fn of(bytes: &[u8]) -> List {
        List { data: bytes.as_ptr() as *mut u8, size: bytes.len() }
    }

    /// What the kernel has put into memory of `cabi_realloc`'s.
    unsafe fn take(self) -> Vec<u8> {
        if self.size == 0 { Vec::new() } else { Vec::from_raw_parts(self.data, self.size, self.size) }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Maybe {
    some: u8,
    value: List,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Seconds {
    some: u8,
    value: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Request {
    inherit: u8,
    expects_response: Seconds,
    body: List,
    metadata: Maybe,
    capabilities: List,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Response {
    inherit: u8,
    body: List,
    metadata: Maybe,
    capabilities: List,
}

#[repr(C)]
#[derive(Clone, Copy)]
union Message {
    request: Request,
    response: Response,
}

/// An address is four strings.
type Address = [List; 4];

/// `result<tuple<address, message>, …>`: the error case is not looked into.
#[repr(C)]
#[derive(Clone, Copy)]
struct Received {
    error: u8,
    arrival: Arrival,
    rest: [u64; 8],
}

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Arrival {
    source: Address,
    is_response: u8,
    message: Message,
}

#[repr(C)]
struct Blob {
    some: u8,
    mime: Maybe,
    bytes: List,
}

#[repr(C)]
struct SendAndAwait {
    target: Address,
    request: Request,
    blob: Blob,
}

#[link(wasm_import_module = "nectar:process/standard@0.7.0")]
extern "C" {
    fn receive(result: *mut Received);
    #[link_name = "get-blob"]
    fn get_blob(result: *mut Blob);
    #[link_name = "send-response"]
    fn send_response(
        inherit: i32, body: *const u8, body_size: usize, has_metadata: i32, metadata: *const u8, metadata_size: usize,
        capabilities: *const u8, capability_count: usize, has_blob: i32, has_mime: i32, mime: *const u8,
        mime_size: usize, bytes: *const u8, bytes_size: usize,
    );
    #[link_name = "send-and-await-response"]
    fn send_and_await_response(params: *const SendAndAwait, result: *mut Received);
}

// Of WASI 0.2 itself, as the standard library calls it that newer compilers have for `wasm32-wasip2`.
#[link(wasm_import_module = "wasi:random/random@0.2.12")]
extern "C" {
    #[link_name = "get-random-u64"]
    fn get_random_u64() -> u64;
}

#[no_mangle]
pub unsafe extern "C" fn cabi_realloc(old: *mut u8, old_size: usize, alignment: usize, size: usize) -> *mut u8 {
    use std::alloc::{alloc, handle_alloc_error, realloc, Layout};
    let layout = Layout::from_size_align_unchecked(if old_size == 0 { size } else { old_size }, alignment);
    if size == 0 {
        return alignment as *mut u8;
    }
    let made = if old_size == 0 { alloc(layout) } else { realloc(old, layout, size) };
    if made.is_null() {
        handle_alloc_error(layout);
    }
    made
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text is UTF-8")
}

/// Asks a process of the same node, and waits for the answer: "ask PROCESS PACKAGE PUBLISHER TEXT".
fn ask(words: &str) -> String {
    let mut words = words.splitn(4, ' ');
    let mut next = || List::of(words.next().unwrap_or("").as_bytes());
    let target = [List::of(b"our"), next(), next(), next()];
    let none = Maybe { some: 0, value: List::EMPTY };
    let request = Request {
        inherit: 0,
        expects_response: Seconds { some: 1, value: 5 },
        body: next(),
        metadata: none,
        capabilities: List::EMPTY,
    };
    let params = SendAndAwait { target, request, blob: Blob { some: 0, mime: none, bytes: List::EMPTY } };
    unsafe {
        let mut result: Received = mem::zeroed();
        send_and_await_response(&params, &mut result);
        if result.error != 0 || result.arrival.is_response == 0 {
            return "no answer".into();
        }
        text(result.arrival.message.response.body.take())
    }
}

fn files(folder: &str) -> std::io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names.join(" "))
}

fn write(words: &str) -> std::io::Result<String> {
    let (path, text) = words.split_once(' ').unwrap_or((words, ""));
    fs::write(path, text)?;
    Ok(format!("{} bytes", fs::metadata(path)?.len()))
}

fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

fn obey(body: &str) -> String {
    let (word, rest) = body.split_once(' ').unwrap_or((body, ""));
    let refused = |error: std::io::Error| format!("refused: {:?}", error.kind());
    match word {
        "echo" => rest.into(),
        "ask" => ask(rest),
        "sleep" => {
            let before = Instant::now();
            thread::sleep(Duration::from_millis(rest.parse().expect("a number")));
            format!("{} ms", before.elapsed().as_millis())
        }
        "env" => format!("{} variables, {} arguments", env::vars().count(), env::args().count()),
        "clock" => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos().to_string(),
        "random" => format!("{} {}", unsafe { get_random_u64() }, RandomState::new().build_hasher().finish()),
        "write" => write(rest).unwrap_or_else(refused),
        "read" => fs::read_to_string(rest).unwrap_or_else(refused),
        "list" => files(rest).unwrap_or_else(refused),
        "remove" => fs::remove_file(rest).map_or_else(refused, |_| "removed".into()),
        "print" => {
            println!("{}", rest);
            eprintln!("{}", rest.to_uppercase());
            "printed".into()
        }
        "panic" => panic!("{}", rest),
        "exit" => std::process::exit(rest.parse().expect("a number")),
        "fill" => (0..).map(|_| vec![1u8; 1 << 20]).collect::<Vec<_>>().len().to_string(),
        "spin" => spin(),
        _ => "what?".into(),
    }
}

#[no_mangle]
pub unsafe extern "C" fn init(our: *const u8, size: usize) {
    println!("{} begins", String::from_utf8_lossy(slice::from_raw_parts(our, size)));
    loop {
        let mut result: Received = mem::zeroed();
        receive(&mut result);
        if result.error != 0 || result.arrival.is_response != 0 {
            continue;
        }
        let mut blob: Blob = mem::zeroed();
        get_blob(&mut blob);
        let answer = obey(&text(result.arrival.message.request.body.take()));
        let bytes = if blob.some == 0 { Vec::new() } else { blob.bytes.take() };
        send_response(
            0, answer.as_ptr(), answer.len(), 0, ptr::null(), 0, 8 as *const u8, 0, blob.some as i32, 0, ptr::null(), 0,
            List::of(&bytes).data, bytes.len(),
        );
    }
}
