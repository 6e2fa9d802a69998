/* JSON: writing. */

static void nectar__put_quoted(nectar_writer *out, nectar_text text) {
    nectar__append(out, "\"", 1);
    for (size_t i = 0; i < text.len;) {
        unsigned char byte = (unsigned char)text.ptr[i];
        size_t length = nectar__utf8(text.ptr + i, text.len - i);
        if (length == 0) {
            nectar__append(out, "?", 1);
            i++;
            continue;
        }
        if (byte == '"' || byte == '\\') nectar__append(out, "\\", 1);
        if (byte == '\n') nectar__append(out, "\\n", 2);
        else if (byte < 0x20)
            nectar__append(out, (char[]){'\\', 'u', '0', '0', (char)('0' + byte / 16), "0123456789abcdef"[byte % 16]}, 6);
        else nectar__append(out, text.ptr + i, length);
        i += length;
    }
    nectar__append(out, "\"", 1);
}

/* What comes before a value: a comma, and in an object its key. */
static void nectar__put_key(nectar_writer *out, const char *key) {
    bool in_object = out->depth > 0 && !(out->arrays >> (out->depth - 1) & 1);
    if (in_object != (key != NULL)) nectar_panic("in an object a value has a key, elsewhere it has none");
    char before = out->len == 0 ? '[' : out->ptr[out->len - 1];
    if (before != '[' && before != '{') nectar__append(out, ",", 1);
    if (key == NULL) return;
    nectar__put_quoted(out, nectar_string(key));
    nectar__append(out, ":", 1);
}

static void nectar__put_open(nectar_writer *out, const char *key, bool array) {
    nectar__put_key(out, key);
    if (out->depth == NECTAR_JSON_DEPTH) nectar_panic("JSON is nested too deep");
    out->arrays = (out->arrays & ~(1ULL << out->depth)) | (uint64_t)array << out->depth;
    out->depth++;
    nectar__append(out, array ? "[" : "{", 1);
}

void nectar_put_object(nectar_writer *writer, const char *key) { nectar__put_open(writer, key, false); }

void nectar_put_array(nectar_writer *writer, const char *key) { nectar__put_open(writer, key, true); }

void nectar_put_end(nectar_writer *writer) {
    if (writer->depth == 0) nectar_panic("nothing is open that could end");
    writer->depth--;
    nectar__append(writer, writer->arrays >> writer->depth & 1 ? "]" : "}", 1);
}

void nectar_put_json(nectar_writer *writer, const char *key, nectar_json value) {
    nectar__put_key(writer, key);
    nectar__append(writer, value.ptr, value.len);
}

void nectar_put_null(nectar_writer *writer, const char *key) { nectar_put_json(writer, key, nectar_string("null")); }

void nectar_put_bool(nectar_writer *writer, const char *key, bool value) {
    nectar_put_json(writer, key, nectar_string(value ? "true" : "false"));
}

void nectar_put_u64(nectar_writer *writer, const char *key, uint64_t value) {
    nectar__put_key(writer, key);
    nectar__append_u64(writer, value, 10);
}

void nectar_put_i64(nectar_writer *writer, const char *key, int64_t value) {
    nectar__put_key(writer, key);
    nectar__append_i64(writer, value);
}

void nectar_put_double(nectar_writer *writer, const char *key, double value) {
    if (!(value - value == 0)) nectar_panic("a number that is not finite has no JSON");
    nectar__put_key(writer, key);
    nectar__append_double(writer, value);
}

void nectar_put_text(nectar_writer *writer, const char *key, nectar_text value) {
    nectar__put_key(writer, key);
    nectar__put_quoted(writer, value);
}

void nectar_put_string(nectar_writer *writer, const char *key, const char *value) {
    nectar_put_text(writer, key, nectar_string(value));
}

nectar_text nectar_written(nectar_writer *writer) {
    while (writer->depth > 0) nectar_put_end(writer);
    return (nectar_text){writer->ptr, writer->len};
}
