/* Memory: a list of free blocks in the order of their addresses, and an arena of such blocks. */

_Noreturn void nectar_panic(const char *sentence) {
    nectar__print(0, sentence, nectar__length(sentence)); /* no allocation: that may be what failed */
    __builtin_trap();
}

typedef struct nectar__block {
    size_t bytes; /* with this header */
    struct nectar__block *next;
    size_t unused[2]; /* what follows is aligned to 16 */
} nectar__block;

enum { NECTAR__PAGE_BYTES = 65536, NECTAR__MAX_BYTES = 1 << 30, NECTAR__KEPT_BYTES = 65536, NECTAR__ARENA_BYTES = 8192 };

static nectar__block *nectar__free_blocks;

static void nectar__give_back(nectar__block *block) {
    nectar__block **place = &nectar__free_blocks;
    while (*place != NULL && (uintptr_t)*place < (uintptr_t)block) {
        if ((uintptr_t)*place + (*place)->bytes == (uintptr_t)block) { /* grows the one before it, and then that one's next */
            nectar__block *before = *place;
            before->bytes += block->bytes;
            if ((uintptr_t)before + before->bytes == (uintptr_t)before->next) {
                before->bytes += before->next->bytes;
                before->next = before->next->next;
            }
            return;
        }
        place = &(*place)->next;
    }
    block->next = *place;
    if (block->next != NULL && (uintptr_t)block + block->bytes == (uintptr_t)block->next) {
        block->bytes += block->next->bytes;
        block->next = block->next->next;
    }
    *place = block;
}

void *nectar_alloc(size_t bytes) {
    if (bytes > NECTAR__MAX_BYTES) nectar_panic("out of memory");
    size_t needed = ((bytes + 15) & ~(size_t)15) + sizeof(nectar__block);
    for (;;) {
        for (nectar__block **place = &nectar__free_blocks; *place != NULL; place = &(*place)->next) {
            nectar__block *block = *place;
            if (block->bytes < needed) continue;
            if (block->bytes - needed > 2 * sizeof(nectar__block)) {
                nectar__block *rest = (nectar__block *)((uintptr_t)block + needed);
                rest->bytes = block->bytes - needed;
                rest->next = block->next;
                block->bytes = needed;
                *place = rest;
            } else {
                *place = block->next;
            }
            return block + 1;
        }
        size_t pages = (needed + NECTAR__PAGE_BYTES - 1) / NECTAR__PAGE_BYTES;
        size_t before = __builtin_wasm_memory_grow(0, pages);
        if (before == SIZE_MAX) nectar_panic("out of memory");
        nectar__block *grown = (nectar__block *)(before * NECTAR__PAGE_BYTES);
        grown->bytes = pages * NECTAR__PAGE_BYTES;
        nectar__give_back(grown);
    }
}

void nectar_free(void *ptr) {
    if (ptr != NULL) nectar__give_back((nectar__block *)ptr - 1);
}

void *nectar_copy(void *to, const void *from, size_t bytes) { return bytes == 0 ? to : memmove(to, from, bytes); }

nectar_text nectar_keep(nectar_text text) {
    char *copy = nectar_alloc(text.len);
    nectar_copy(copy, text.ptr, text.len);
    return (nectar_text){copy, text.len};
}

typedef struct nectar__chunk {
    struct nectar__chunk *next;
    size_t used, room;
    size_t unused;
} nectar__chunk;

static nectar__chunk *nectar__arena;
static nectar_text nectar__reason;

void *nectar_arena(size_t bytes) {
    if (bytes > NECTAR__MAX_BYTES) nectar_panic("out of memory");
    size_t needed = (bytes + 7) & ~(size_t)7;
    if (nectar__arena == NULL || nectar__arena->room - nectar__arena->used < needed) {
        size_t room = nectar__arena == NULL ? NECTAR__ARENA_BYTES : 2 * nectar__arena->room;
        if (room > NECTAR__KEPT_BYTES) room = NECTAR__KEPT_BYTES;
        if (room < needed) room = needed;
        nectar__chunk *chunk = nectar_alloc(sizeof(nectar__chunk) + room);
        *chunk = (nectar__chunk){nectar__arena, 0, room, 0};
        nectar__arena = chunk;
    }
    char *found = (char *)(nectar__arena + 1) + nectar__arena->used;
    nectar__arena->used += needed;
    return found;
}

void nectar_reset(void) {
    nectar__chunk *kept = NULL;
    while (nectar__arena != NULL) {
        nectar__chunk *chunk = nectar__arena;
        nectar__arena = chunk->next;
        if (kept == NULL && chunk->room <= NECTAR__KEPT_BYTES) kept = chunk;
        else nectar_free(chunk);
    }
    if (kept != NULL) {
        kept->next = NULL;
        kept->used = 0;
    }
    nectar__arena = kept;
    nectar__reason = (nectar_text){NULL, 0};
}

/* What the kernel writes as a result of ours lives as long as the message; whatever else asks for memory keeps it. */
static bool nectar__in_call;

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_bytes, size_t alignment,
                                                                size_t bytes) {
    if (bytes == 0) return (void *)alignment;
    void *found = nectar__in_call ? nectar_arena(bytes) : nectar_alloc(bytes);
    if (old_bytes > 0) {
        nectar_copy(found, old, old_bytes < bytes ? old_bytes : bytes);
        if (!nectar__in_call) nectar_free(old);
    }
    return found;
}

#define NECTAR__CALL(call) (nectar__in_call = true, (call), nectar__in_call = false)
