/*
 * Whether histories of registers are linearizable: the search of Wing and Gong as Lowe improved it (2017), with the keys
 * apart as Horn and Kroening have them. It is the algorithm of Porcupine, compiled: what `bench/check.py` compares with.
 *
 * Reads a number of rounds, and a number of objects; of each object the number of its operations, then those, and then
 * their events in the order of time: `2 * operation` for a call, `2 * operation + 1` for a return. An operation is its
 * kind (0 read, 1 write, 2 compare and set), two values and its result; results are a value, 0 or 1 for a compare and
 * set, or UNKNOWN. Writes how many objects are linearizable, and the seconds of processor time that a round takes.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define UNKNOWN (-2)
#define NOTHING (-1) /* what a register holds at first */

typedef struct {
    long kind, first, second, result;
} Operation;

typedef struct {
    size_t count;
    Operation *operations;
    long *events;
} Object;

/* Configurations that were visited: which operations have happened, and the state. */
typedef struct {
    uint64_t *keys; /* `words` of each place, then its state */
    unsigned char *taken;
    size_t places, used, words;
} Visited;

static void *room(size_t count, size_t size) {
    void *found = calloc(count ? count : 1, size);
    if (!found) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    return found;
}

static long number(void) {
    long found;
    if (scanf("%ld", &found) != 1) {
        fputs("expected a number\n", stderr);
        exit(1);
    }
    return found;
}

static int step(const Operation *operation, long state, long *after) {
    *after = state;
    switch (operation->kind) {
    case 0:
        return operation->result == UNKNOWN || operation->result == state;
    case 1:
        *after = operation->first;
        return 1;
    default:
        if (operation->result != UNKNOWN && operation->result != (state == operation->first)) return 0;
        if (state == operation->first) *after = operation->second;
        return 1;
    }
}

static uint64_t hash(const uint64_t *key, size_t words) {
    uint64_t found = 0x9e3779b97f4a7c15u;
    for (size_t at = 0; at < words; at++) {
        found = (found ^ key[at]) * 0xff51afd7ed558ccdu;
        found ^= found >> 32;
    }
    return found;
}

static size_t place_of(const Visited *visited, const uint64_t *key) {
    size_t place = hash(key, visited->words) & (visited->places - 1);
    while (visited->taken[place] && memcmp(visited->keys + place * visited->words, key, visited->words * 8))
        place = (place + 1) & (visited->places - 1);
    return place;
}

static void make(Visited *visited, size_t places) {
    visited->places = places;
    visited->keys = room(places * visited->words, 8);
    visited->taken = room(places, 1);
}

/* Whether it is new. */
static int visit(Visited *visited, const uint64_t *key) {
    if (visited->used * 2 >= visited->places) {
        Visited old = *visited;
        make(visited, old.places * 2);
        for (size_t at = 0; at < old.places; at++) {
            if (!old.taken[at]) continue;
            size_t place = place_of(visited, old.keys + at * old.words);
            memcpy(visited->keys + place * old.words, old.keys + at * old.words, old.words * 8);
            visited->taken[place] = 1;
        }
        free(old.keys);
        free(old.taken);
    }
    size_t place = place_of(visited, key);
    if (visited->taken[place]) return 0;
    memcpy(visited->keys + place * visited->words, key, visited->words * 8);
    visited->taken[place] = 1;
    visited->used++;
    return 1;
}

static int is_linearizable(const Object *object) {
    size_t count = object->count, length = 2 * count + 2, depth = 0;
    /* Events are a list with a head, 0; the place of an event is its number + 1. */
    size_t *next = room(length, sizeof *next), *before = room(length, sizeof *before);
    size_t *stack = room(count, sizeof *stack), last = 0;
    long *states = room(count, sizeof *states), state = NOTHING, after;
    Visited visited = {.words = (count + 63) / 64 + 1};
    uint64_t *key = room(visited.words, 8);
    make(&visited, 256);
    for (size_t at = 0; at < 2 * count; at++) {
        size_t event = (size_t)object->events[at] + 1;
        next[last] = event;
        before[event] = last;
        last = event;
    }
    size_t event = next[0];
    int is = 1;
    while (next[0]) {
        size_t which = (event - 1) / 2;
        if ((event - 1) % 2 == 0) {
            uint64_t bit = (uint64_t)1 << which % 64;
            if (step(&object->operations[which], state, &after)) {
                key[which / 64] |= bit;
                key[visited.words - 1] = (uint64_t)after;
                if (visit(&visited, key)) {
                    stack[depth] = event;
                    states[depth++] = state;
                    state = after;
                    for (size_t each = event; each <= event + 1; each++) {
                        next[before[each]] = next[each];
                        if (next[each]) before[next[each]] = before[each];
                    }
                    event = next[0];
                    continue;
                }
                key[which / 64] &= ~bit;
            }
            event = next[event];
        } else {
            if (!depth) {
                is = 0;
                break;
            }
            event = stack[--depth];
            state = states[depth];
            which = (event - 1) / 2;
            key[which / 64] &= ~((uint64_t)1 << which % 64);
            for (size_t each = event + 1; each >= event; each--) {
                next[before[each]] = each;
                if (next[each]) before[next[each]] = each;
            }
            event = next[event];
        }
    }
    free(next), free(before), free(stack), free(states), free(key), free(visited.keys), free(visited.taken);
    return is;
}

int main(void) {
    long rounds = number(), right = 0;
    size_t count = (size_t)number();
    Object *objects = room(count, sizeof *objects);
    for (size_t at = 0; at < count; at++) {
        Object *object = &objects[at];
        object->count = (size_t)number();
        object->operations = room(object->count, sizeof *object->operations);
        object->events = room(2 * object->count, sizeof *object->events);
        for (size_t each = 0; each < object->count; each++) {
            Operation *operation = &object->operations[each];
            operation->kind = number();
            operation->first = number();
            operation->second = number();
            operation->result = number();
        }
        for (size_t each = 0; each < 2 * object->count; each++) object->events[each] = number();
    }
    clock_t begun = clock();
    for (long round = 0; round < rounds; round++) {
        right = 0;
        for (size_t at = 0; at < count; at++) right += is_linearizable(&objects[at]);
    }
    printf("%ld %.9f\n", right, (double)(clock() - begun) / CLOCKS_PER_SEC / (double)rounds);
    return 0;
}
