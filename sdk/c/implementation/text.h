/* Formatted text, and the log. */

static void nectar__append(nectar_writer *out, const char *ptr, size_t len) {
    if (out->room - out->len < len) {
        size_t room = 2 * out->room + len + 64;
        char *larger = nectar_arena(room);
        nectar_copy(larger, out->ptr, out->len);
        out->ptr = larger;
        out->room = room;
    }
    nectar_copy(out->ptr + out->len, ptr, len);
    out->len += len;
}

static void nectar__append_string(nectar_writer *out, const char *string) {
    nectar__append(out, string, nectar__length(string));
}

static void nectar__append_u64(nectar_writer *out, uint64_t value, unsigned base) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);
    nectar__append(out, digits + at, sizeof digits - at);
}

static void nectar__append_i64(nectar_writer *out, int64_t value) {
    if (value < 0) nectar__append(out, "-", 1);
    nectar__append_u64(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
}

static void nectar__append_double(nectar_writer *out, double value);

static void nectar__append_format(nectar_writer *out, const char *format, va_list values) {
    for (; *format != 0; format++) {
        if (*format != '%') {
            nectar__append(out, format, 1);
            continue;
        }
        bool precise = format[1] == '.' && format[2] == '*';
        int precision = precise ? va_arg(values, int) : 0;
        format += precise ? 3 : 1;
        bool wide = format[0] == 'l' && format[1] == 'l';
        if (wide) format += 2;
        else if (*format == 'l' || *format == 'z') format++; /* of 32 bits, both */
        switch (*format) {
        case 's': {
            const char *string = va_arg(values, const char *);
            nectar__append(out, string, precise ? (size_t)precision : nectar__length(string));
            break;
        }
        case 'd':
        case 'i': nectar__append_i64(out, wide ? va_arg(values, int64_t) : va_arg(values, int32_t)); break;
        case 'u': nectar__append_u64(out, wide ? va_arg(values, uint64_t) : va_arg(values, uint32_t), 10); break;
        case 'x': nectar__append_u64(out, wide ? va_arg(values, uint64_t) : va_arg(values, uint32_t), 16); break;
        case 'c': nectar__append(out, (char[]){(char)va_arg(values, int)}, 1); break;
        case 'g': nectar__append_double(out, va_arg(values, double)); break;
        case '%': nectar__append(out, "%", 1); break;
        default: nectar_panic("a format has something that nectar_format does not know");
        }
    }
}

nectar_text nectar_format(const char *format, ...) {
    nectar_writer out = {0};
    va_list values;
    va_start(values, format);
    nectar__append_format(&out, format, values);
    va_end(values);
    return (nectar_text){out.ptr == NULL ? "" : out.ptr, out.len};
}

static nectar_level nectar__level = NECTAR_INFO;

void nectar_log_level(nectar_level level) { nectar__level = level; }

void nectar_print(unsigned verbosity, nectar_text line) { nectar__print(verbosity, line.ptr, line.len); }

void nectar_log(nectar_level level, const char *format, ...) {
    if (level > nectar__level) return;
    nectar_writer out = {0};
    va_list values;
    va_start(values, format);
    nectar__append_format(&out, format, values);
    va_end(values);
    nectar__print(level <= NECTAR_WARNING ? 0 : level == NECTAR_INFO ? 1 : 2, out.ptr, out.len);
}
