/* What a C library would have; the compiler's own library has memcpy and the like. */

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *at, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

static size_t nectar__length(const char *string) {
    size_t length = 0;
    while (string[length] != 0) length++;
    return length;
}

nectar_text nectar_string(const char *string) {
    return (nectar_text){string, string == NULL ? 0 : nectar__length(string)};
}

bool nectar_same(nectar_text a, nectar_text b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool nectar_is(nectar_text text, const char *string) { return nectar_same(text, nectar_string(string)); }

bool nectar_starts(nectar_text text, const char *string) {
    size_t length = nectar__length(string);
    return text.len >= length && nectar_is((nectar_text){text.ptr, length}, string);
}

bool nectar_contains(nectar_text text, const char *string) {
    for (size_t length = nectar__length(string); text.len >= length && text.len > 0; text.ptr++, text.len--)
        if (nectar_starts(text, string)) return true;
    return false;
}
