/* JSON: reading. */

typedef struct {
    const char *at, *end;
} nectar__scan;

static int nectar__peek(const nectar__scan *scan) { return scan->at < scan->end ? (unsigned char)*scan->at : -1; }

static void nectar__blanks(nectar__scan *scan) {
    for (int byte; (byte = nectar__peek(scan)) == ' ' || byte == '\n' || byte == '\r' || byte == '\t';) scan->at++;
}

static bool nectar__take(nectar__scan *scan, char wanted) {
    if (nectar__peek(scan) != (unsigned char)wanted) return false;
    scan->at++;
    return true;
}

static int nectar__hex(int byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The four digits behind \u; -1: there are none. */
static int32_t nectar__escaped(nectar__scan *scan) {
    int32_t unit = 0;
    for (int i = 0; i < 4; i++, scan->at++) {
        int digit = nectar__hex(nectar__peek(scan));
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* The code point behind \u, of one unit or a pair; -1: it is none. */
static int32_t nectar__code_point(nectar__scan *scan) {
    int32_t high = nectar__escaped(scan);
    if (high < 0xD800 || high > 0xDFFF) return high;
    if (high > 0xDBFF || !nectar__take(scan, '\\') || !nectar__take(scan, 'u')) return -1;
    int32_t low = nectar__escaped(scan);
    if (low < 0xDC00 || low > 0xDFFF) return -1;
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

/* Bytes of the character in UTF-8 that begins here, by Unicode's table 3-7; 0: it is none. */
static size_t nectar__utf8(const char *text, size_t left) {
    const unsigned char *at = (const unsigned char *)text;
    if (at[0] < 0x80) return 1;
    size_t length = at[0] >= 0xF0 ? 4 : at[0] >= 0xE0 ? 3 : 2;
    if (at[0] < 0xC2 || at[0] > 0xF4 || left < length) return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    bool too_long = (at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xF0 && at[1] < 0x90);
    bool too_high = (at[0] == 0xED && at[1] > 0x9F) || (at[0] == 0xF4 && at[1] > 0x8F);
    return too_long || too_high ? 0 : length;
}

static bool nectar__skip_text(nectar__scan *scan) {
    if (!nectar__take(scan, '"')) return false;
    while (scan->at < scan->end) {
        unsigned char byte = (unsigned char)*scan->at;
        if (byte == '"') return scan->at++, true;
        if (byte < 0x20) return false;
        if (byte != '\\') {
            size_t length = nectar__utf8(scan->at, (size_t)(scan->end - scan->at));
            if (length == 0) return false;
            scan->at += length;
            continue;
        }
        scan->at++;
        if (nectar__take(scan, 'u')) {
            if (nectar__code_point(scan) < 0) return false;
            continue;
        }
        int escape = nectar__peek(scan);
        if (escape < 0 || !nectar_contains((nectar_text){"\"\\/bfnrt", 8}, (char[]){(char)escape, 0})) return false;
        scan->at++;
    }
    return false;
}

static bool nectar__skip_digits(nectar__scan *scan) {
    const char *begin = scan->at;
    while (nectar__peek(scan) >= '0' && nectar__peek(scan) <= '9') scan->at++;
    return scan->at > begin;
}

static bool nectar__skip_number(nectar__scan *scan) {
    nectar__take(scan, '-');
    if (!nectar__take(scan, '0') && !nectar__skip_digits(scan)) return false;
    if (nectar__take(scan, '.') && !nectar__skip_digits(scan)) return false;
    if (!nectar__take(scan, 'e') && !nectar__take(scan, 'E')) return true;
    if (!nectar__take(scan, '-')) nectar__take(scan, '+');
    return nectar__skip_digits(scan);
}

static bool nectar__skip_word(nectar__scan *scan, const char *word) {
    size_t length = nectar__length(word);
    if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length) != 0) return false;
    scan->at += length;
    return true;
}

static bool nectar__skip(nectar__scan *scan, unsigned depth) {
    int first = nectar__peek(scan);
    switch (first) {
    case '"': return nectar__skip_text(scan);
    case 'n': return nectar__skip_word(scan, "null");
    case 't': return nectar__skip_word(scan, "true");
    case 'f': return nectar__skip_word(scan, "false");
    case '[':
    case '{': break;
    default: return nectar__skip_number(scan);
    }
    char last = first == '[' ? ']' : '}';
    if (depth == NECTAR_JSON_DEPTH) return false;
    scan->at++;
    nectar__blanks(scan);
    if (nectar__take(scan, last)) return true;
    for (;;) {
        nectar__blanks(scan);
        if (first == '{') {
            if (!nectar__skip_text(scan)) return false;
            nectar__blanks(scan);
            if (!nectar__take(scan, ':')) return false;
            nectar__blanks(scan);
        }
        if (!nectar__skip(scan, depth + 1)) return false;
        nectar__blanks(scan);
        if (nectar__take(scan, last)) return true;
        if (!nectar__take(scan, ',')) return false;
    }
}

nectar_code nectar_json_parse(nectar_text text, nectar_json *value) {
    nectar__scan scan = {text.ptr, text.ptr + text.len};
    nectar__blanks(&scan);
    const char *begin = scan.at;
    if (!nectar__skip(&scan, 0)) return NECTAR_BAD_JSON;
    nectar_json found = {begin, (size_t)(scan.at - begin)};
    nectar__blanks(&scan);
    if (scan.at != scan.end) return NECTAR_BAD_JSON;
    *value = found;
    return NECTAR_OK;
}

nectar_json_kind nectar_json_kind_of(nectar_json value) {
    if (value.ptr == NULL || value.len == 0) return NECTAR_JSON_NONE;
    switch (value.ptr[0]) {
    case 'n': return NECTAR_JSON_NULL;
    case 't':
    case 'f': return NECTAR_JSON_BOOL;
    case '"': return NECTAR_JSON_TEXT;
    case '[': return NECTAR_JSON_ARRAY;
    case '{': return NECTAR_JSON_OBJECT;
    default: return NECTAR_JSON_NUMBER;
    }
}

nectar_items nectar_json_items(nectar_json value) {
    nectar_json_kind kind = nectar_json_kind_of(value);
    nectar_items items = {.object = kind == NECTAR_JSON_OBJECT};
    if (kind == NECTAR_JSON_ARRAY || kind == NECTAR_JSON_OBJECT) {
        items.at = value.ptr + 1;
        items.end = value.ptr + value.len - 1;
    }
    return items;
}

/* It is checked that all of this is JSON. */
bool nectar_json_next(nectar_items *items) {
    nectar__scan scan = {items->at, items->end};
    nectar__blanks(&scan);
    if (nectar__take(&scan, ',')) nectar__blanks(&scan);
    if (scan.at >= scan.end) return false;
    if (items->object) {
        const char *key = scan.at;
        nectar__skip_text(&scan);
        nectar_json_text((nectar_json){key, (size_t)(scan.at - key)}, &items->key);
        nectar__blanks(&scan);
        nectar__take(&scan, ':');
        nectar__blanks(&scan);
    }
    const char *begin = scan.at;
    nectar__skip(&scan, 0);
    items->value = (nectar_json){begin, (size_t)(scan.at - begin)};
    items->at = scan.at;
    return true;
}

nectar_json nectar_json_field(nectar_json object, const char *key) {
    nectar_json found = {NULL, 0};
    if (nectar_json_kind_of(object) != NECTAR_JSON_OBJECT) return found;
    for (nectar_items items = nectar_json_items(object); nectar_json_next(&items);)
        if (nectar_is(items.key, key)) found = items.value;
    return found;
}

bool nectar_json_bool(nectar_json value, bool *out) {
    if (nectar_json_kind_of(value) != NECTAR_JSON_BOOL) return false;
    *out = value.ptr[0] == 't';
    return true;
}

bool nectar_json_u64(nectar_json value, uint64_t *out) {
    uint64_t number = 0;
    if (nectar_json_kind_of(value) != NECTAR_JSON_NUMBER) return false;
    for (size_t i = 0; i < value.len; i++) {
        char digit = value.ptr[i];
        if (digit < '0' || digit > '9') return false;
        if (__builtin_mul_overflow(number, (uint64_t)10, &number)) return false;
        if (__builtin_add_overflow(number, (uint64_t)(digit - '0'), &number)) return false;
    }
    *out = number;
    return true;
}

bool nectar_json_i64(nectar_json value, int64_t *out) {
    uint64_t number;
    bool negative = nectar_json_kind_of(value) == NECTAR_JSON_NUMBER && value.ptr[0] == '-';
    if (negative) value = (nectar_json){value.ptr + 1, value.len - 1};
    if (!nectar_json_u64(value, &number) || number > (uint64_t)INT64_MAX + negative) return false;
    *out = negative ? (int64_t)(0 - number) : (int64_t)number;
    return true;
}

static size_t nectar__put_utf8(char *to, int32_t point) {
    if (point < 0x80) return to[0] = (char)point, 1;
    size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, point >>= 6) to[i] = (char)(0x80 | (point & 0x3F));
    to[0] = (char)((0xF00 >> length) | point);
    return length;
}

bool nectar_json_text(nectar_json value, nectar_text *out) {
    if (nectar_json_kind_of(value) != NECTAR_JSON_TEXT) return false;
    nectar__scan scan = {value.ptr + 1, value.ptr + value.len - 1};
    *out = (nectar_text){scan.at, (size_t)(scan.end - scan.at)};
    if (!nectar_contains(*out, "\\")) return true;
    char *text = nectar_arena(value.len); /* no escape is shorter than what it stands for */
    size_t len = 0;
    while (scan.at < scan.end) {
        char byte = *scan.at++;
        if (byte != '\\') {
            text[len++] = byte;
            continue;
        }
        byte = *scan.at++;
        switch (byte) {
        case 'u': len += nectar__put_utf8(text + len, nectar__code_point(&scan)); break;
        case 'b': text[len++] = '\b'; break;
        case 'f': text[len++] = '\f'; break;
        case 'n': text[len++] = '\n'; break;
        case 'r': text[len++] = '\r'; break;
        case 't': text[len++] = '\t'; break;
        default: text[len++] = byte;
        }
    }
    *out = (nectar_text){text, len};
    return true;
}

bool nectar_json_variant(nectar_json value, nectar_text *name, nectar_json *payload) {
    *payload = (nectar_json){NULL, 0};
    if (nectar_json_kind_of(value) == NECTAR_JSON_TEXT) return nectar_json_text(value, name);
    nectar_items items = nectar_json_items(value);
    if (!items.object || !nectar_json_next(&items)) return false;
    nectar_items first = items;
    if (nectar_json_next(&items)) return false;
    *name = first.key;
    *payload = first.value;
    return true;
}
