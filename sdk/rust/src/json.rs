//! JSON as values, without a library: `Json::parse`, `to_string`, and what one needs in between.

use std::fmt::{self, Write};

/// How deep arrays and objects may lie in each other.
const MAX_DEPTH: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Array(Vec<Json>),
    /// In the order of the text.
    Object(Vec<(String, Json)>),
}

/// It is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson;

static NULL: Json = Json::Null;

impl Json {
    pub fn parse(bytes: &[u8]) -> Result<Json, NotJson> {
        let text = std::str::from_utf8(bytes).map_err(|_| NotJson)?;
        let mut parser = Parser { text, at: 0 };
        let value = parser.value(0)?;
        parser.space();
        if parser.at == text.len() { Ok(value) } else { Err(NotJson) }
    }

    /// A tagged union: `"Name"`, whose value is null, or `{"Name": value}`.
    pub fn variant(&self) -> Option<(&str, &Json)> {
        match self {
            Json::Text(name) => Some((name, &NULL)),
            Json::Object(fields) if fields.len() == 1 => Some((&fields[0].0, &fields[0].1)),
            _ => None,
        }
    }

    /// The value of a key of an object; null if it has none.
    pub fn get(&self, key: &str) -> &Json {
        match self {
            Json::Object(fields) => fields.iter().rev().find(|(name, _)| name == key).map_or(&NULL, |(_, value)| value),
            _ => &NULL,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn u64(&self) -> Option<u64> {
        match self {
            Json::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    pub fn bool(&self) -> Option<bool> {
        match self {
            Json::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// What an array holds; nothing if it is none.
    pub fn items(&self) -> &[Json] {
        match self {
            Json::Array(items) => items,
            _ => &[],
        }
    }
}

/// An object, such as `object([("name", "a".into()), ("version", 1.into())])`.
pub fn object<const N: usize>(fields: [(&str, Json); N]) -> Json {
    Json::Object(fields.into_iter().map(|(name, value)| (name.to_string(), value)).collect())
}

/// `{"Name": value}`.
pub fn tagged(name: &str, value: impl Into<Json>) -> Json {
    Json::Object(vec![(name.to_string(), value.into())])
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::Text(text.to_string())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Json {
        Json::Text(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Json {
        Json::Bool(value)
    }
}

impl From<i64> for Json {
    fn from(number: i64) -> Json {
        Json::Integer(number)
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Json {
        i64::try_from(number).map_or(Json::Float(number as f64), Json::Integer)
    }
}

impl From<Vec<Json>> for Json {
    fn from(items: Vec<Json>) -> Json {
        Json::Array(items)
    }
}

/// A body.
impl From<Json> for Vec<u8> {
    fn from(value: Json) -> Vec<u8> {
        value.to_string().into_bytes()
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{}", value),
            Json::Integer(number) => write!(f, "{}", number),
            Json::Float(number) if number.is_finite() => write!(f, "{:?}", number),
            Json::Float(_) => f.write_str("null"),
            Json::Text(text) => quote(f, text),
            Json::Array(items) => {
                f.write_char('[')?;
                for (place, item) in items.iter().enumerate() {
                    write!(f, "{}{}", if place == 0 { "" } else { "," }, item)?;
                }
                f.write_char(']')
            }
            Json::Object(fields) => {
                f.write_char('{')?;
                for (place, (name, value)) in fields.iter().enumerate() {
                    f.write_str(if place == 0 { "" } else { "," })?;
                    quote(f, name)?;
                    write!(f, ":{}", value)?;
                }
                f.write_char('}')
            }
        }
    }
}

fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            c if u32::from(c) < 0x20 => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    fn expect(&mut self, word: &str) -> Result<(), NotJson> {
        if !self.text[self.at..].starts_with(word) {
            return Err(NotJson);
        }
        self.at += word.len();
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Json, NotJson> {
        self.space();
        match self.peek() {
            b'{' | b'[' if depth == MAX_DEPTH => Err(NotJson),
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => Ok(Json::Text(self.string()?)),
            b't' => self.expect("true").map(|_| Json::Bool(true)),
            b'f' => self.expect("false").map(|_| Json::Bool(false)),
            b'n' => self.expect("null").map(|_| Json::Null),
            _ => self.number(),
        }
    }

    /// Whether another item follows; the end is consumed.
    fn more(&mut self, end: u8) -> Result<bool, NotJson> {
        self.space();
        let found = self.peek();
        if found != end && found != b',' {
            return Err(NotJson);
        }
        self.at += 1;
        Ok(found == b',')
    }

    fn empty(&mut self, end: u8) -> bool {
        self.at += 1;
        self.space();
        let empty = self.peek() == end;
        self.at += usize::from(empty);
        empty
    }

    fn array(&mut self, depth: usize) -> Result<Json, NotJson> {
        let mut items = Vec::new();
        if self.empty(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if !self.more(b']')? {
                return Ok(Json::Array(items));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, NotJson> {
        let mut fields = Vec::new();
        if self.empty(b'}') {
            return Ok(Json::Object(fields));
        }
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            self.expect(":")?;
            fields.push((name, self.value(depth + 1)?));
            if !self.more(b'}')? {
                return Ok(Json::Object(fields));
            }
        }
    }

    fn number(&mut self) -> Result<Json, NotJson> {
        let start = self.at;
        while matches!(self.peek(), b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
        // What Rust would take, and JSON does not: +1, 01, .5, 1.
        if !digits.first().map_or(false, u8::is_ascii_digit) || (digits[0] == b'0' && digits.get(1).map_or(false, u8::is_ascii_digit)) {
            return Err(NotJson);
        }
        if let Ok(number) = text.parse() {
            return Ok(Json::Integer(number));
        }
        if text.ends_with('.') || text.contains(".e") || text.contains(".E") {
            return Err(NotJson);
        }
        text.parse().map(Json::Float).map_err(|_| NotJson)
    }

    fn string(&mut self) -> Result<String, NotJson> {
        self.expect("\"")?;
        let mut text = String::new();
        loop {
            let c = self.text[self.at..].chars().next().ok_or(NotJson)?;
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                c if u32::from(c) < 0x20 => return Err(NotJson),
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, NotJson> {
        let c = self.peek();
        self.at += 1;
        Ok(match c {
            b'"' | b'\\' | b'/' => c.into(),
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let first = self.four()?;
                let code = if (0xd800..0xdc00).contains(&first) {
                    self.expect("\\u")?;
                    let second = self.four()?;
                    if !(0xdc00..0xe000).contains(&second) {
                        return Err(NotJson);
                    }
                    0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                } else {
                    first
                };
                char::from_u32(code).ok_or(NotJson)?
            }
            _ => {
                self.at -= 1;
                return Err(NotJson);
            }
        })
    }

    fn four(&mut self) -> Result<u32, NotJson> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(NotJson)?;
        if !digits.bytes().all(|each| each.is_ascii_hexdigit()) {
            return Err(NotJson);
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| NotJson)
    }
}
