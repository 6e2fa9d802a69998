/* What boss, workers and children say to each other.
 *
 *     {"Do": {"number": 3, "below": 1300, "rest": 0, "trap": false}}
 *         →  {"Did": {"job": 3, "sum": 123}}, "Crashed", "Busy" or {"Err": reason}
 */

#ifndef POOL_PROTOCOL_H
#define POOL_PROTOCOL_H

#define NECTAR_IMPLEMENTATION
#include "nectar.h"

enum {
    MAX_CHILDREN = 4, /* jobs that one worker does at a time, each in a child of its own */
    MAX_BELOW = 1000000,
};

/* The sum of all primes below `below`. The child first rests for so many milliseconds, as if it were much work, and with
 * `trap` it then traps instead. */
typedef struct {
    uint64_t number, below, rest;
    bool trap;
} job;

static const nectar_field job_fields[] = {
    NECTAR_FIELD(job, number, NECTAR_U64),
    NECTAR_FIELD(job, below, NECTAR_U64),
    NECTAR_FIELD(job, rest, NECTAR_U64),
    NECTAR_FIELD(job, trap, NECTAR_BOOL),
    NECTAR_END,
};

/* The job that a body orders; false: it is none. */
static inline bool parse_order(nectar_text body, job *wanted) {
    nectar_json value, payload;
    nectar_text kind;
    *wanted = (job){.number = UINT64_MAX, .below = UINT64_MAX};
    if (nectar_json_parse(body, &value) != NECTAR_OK || !nectar_json_variant(value, &kind, &payload)) return false;
    if (!nectar_is(kind, "Do") || !nectar_read_struct(payload, job_fields, wanted)) return false;
    return wanted->number <= UINT16_MAX && wanted->below <= UINT32_MAX && wanted->rest <= UINT32_MAX;
}

#endif
