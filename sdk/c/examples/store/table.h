/* The entries of a store, ordered by version: what changed last comes last. So whatever a replica that has version n
 * still lacks is a tail of the list, and applying a tail in order leaves the same list. */

#ifndef STORE_TABLE_H
#define STORE_TABLE_H

#include "nectar.h"

enum { MAX_ENTRIES = 256, MAX_KEY_BYTES = 100, MAX_VALUE_BYTES = 1000, NOWHERE = -1 };

typedef struct {
    nectar_text key, value;
    uint64_t version;
} entry;

static const nectar_field entry_fields[] = {
    NECTAR_FIELD(entry, key, NECTAR_STR),
    NECTAR_FIELD(entry, value, NECTAR_STR),
    NECTAR_FIELD(entry, version, NECTAR_U64),
    NECTAR_END,
};

static entry entries[MAX_ENTRIES];
static size_t entry_count;

/* Of the last change; 0: there was none. */
static uint64_t table_version(void) { return entry_count == 0 ? 0 : entries[entry_count - 1].version; }

static int place_of(nectar_text key) {
    for (size_t place = 0; place < entry_count; place++)
        if (nectar_same(entries[place].key, key)) return (int)place;
    return NOWHERE;
}

/* Why the two cannot be put; NULL: they can. */
static const char *table_refusal(nectar_text key, nectar_text value) {
    if (key.len == 0 || key.len > MAX_KEY_BYTES) return "a key has 1 to 100 bytes";
    if (value.len > MAX_VALUE_BYTES) return "a value has at most 1,000 bytes";
    if (entry_count == MAX_ENTRIES && place_of(key) == NOWHERE) return "the store is full: it has 256 keys";
    return NULL;
}

/* Put copies, whose version must be higher than all others. */
static void table_put(nectar_text key, nectar_text value, uint64_t version) {
    entry added = {nectar_keep(key), nectar_keep(value), version};
    int place = place_of(key);
    if (version <= table_version()) nectar_panic("a change has a version that is not new");
    if (place != NOWHERE) {
        nectar_free((void *)entries[place].key.ptr);
        nectar_free((void *)entries[place].value.ptr);
        entry_count -= 1;
        nectar_copy(&entries[place], &entries[place + 1], (entry_count - (size_t)place) * sizeof(entry));
    }
    entries[entry_count++] = added;
}

/* All that changed after the version `since`, in order. */
static void put_entries(nectar_writer *out, uint64_t since) {
    nectar_put_array(out, "entries");
    for (size_t place = 0; place < entry_count; place++) {
        if (entries[place].version <= since) continue;
        nectar_put_object(out, NULL);
        nectar_put_struct(out, entry_fields, &entries[place]);
        nectar_put_end(out);
    }
    nectar_put_end(out);
}

#endif
