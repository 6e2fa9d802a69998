/* The lines of a chat, ours and those of other nodes, in the order in which they came: the last MAX_LINES of them. They
 * are saved with every change, and are there after a restart. */

#ifndef WEB_CHAT_LINES_H
#define WEB_CHAT_LINES_H

#include "nectar.h"

enum { MAX_LINES = 200 };

typedef struct {
    uint64_t id;      /* its number among all lines here */
    nectar_text node; /* whom we talk to: who said it or, if it is ours, for whom it is */
    bool mine;
    uint64_t number; /* its number among all lines of its author */
    nectar_text text;
    nectar_text state; /* Sent, Heard, Offline, Timeout, Refused */
} line;

static const nectar_field line_fields[] = {
    NECTAR_FIELD(line, id, NECTAR_U64),     NECTAR_FIELD(line, node, NECTAR_STR), NECTAR_FIELD(line, mine, NECTAR_BOOL),
    NECTAR_FIELD(line, number, NECTAR_U64), NECTAR_FIELD(line, text, NECTAR_STR), NECTAR_FIELD(line, state, NECTAR_STR),
    NECTAR_END,
};

/* Literals, so that a line can point to them for good. */
static const char *const states[] = {"Sent", "Heard", "Offline", "Timeout", "Refused"};

static line lines[MAX_LINES];
static size_t line_count;
static uint64_t last, said; /* the id of the last line, and the number of our own last one */

static nectar_text state_named(nectar_text name) {
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (nectar_is(name, states[i])) return nectar_string(states[i]);
    nectar_panic("a line has a state that is none");
}

static void put_lines(nectar_writer *out) {
    nectar_put_array(out, "lines");
    for (size_t place = 0; place < line_count; place++) {
        nectar_put_object(out, NULL);
        nectar_put_struct(out, line_fields, &lines[place]);
        nectar_put_end(out);
    }
    nectar_put_end(out);
}

static void save_lines(void) {
    nectar_writer out = {0};
    nectar_put_object(&out, NULL);
    nectar_put_u64(&out, "last", last);
    nectar_put_u64(&out, "said", said);
    put_lines(&out);
    nectar_set_state(nectar_written(&out));
}

static line *append_line(line given) {
    if (line_count == MAX_LINES) {
        nectar_free((void *)lines[0].node.ptr);
        nectar_free((void *)lines[0].text.ptr);
        nectar_copy(&lines[0], &lines[1], --line_count * sizeof(line));
    }
    given.node = nectar_keep(given.node);
    given.text = nectar_keep(given.text);
    given.state = state_named(given.state);
    lines[line_count] = given;
    return &lines[line_count++];
}

static bool load_lines(void) {
    nectar_text saved;
    nectar_json state;
    if (!nectar_get_state(&saved)) return true;
    if (nectar_json_parse(saved, &state) != NECTAR_OK) return false;
    nectar_json_u64(nectar_json_field(state, "last"), &last);
    nectar_json_u64(nectar_json_field(state, "said"), &said);
    for (nectar_items items = nectar_json_items(nectar_json_field(state, "lines")); nectar_json_next(&items);) {
        line found = {0};
        if (!nectar_read_struct(items.value, line_fields, &found)) return false;
        append_line(found);
    }
    return true;
}

static line *add_line(nectar_text node, bool mine, uint64_t number, nectar_text text, const char *state) {
    line given = {++last, node, mine, number, text, nectar_string(state)};
    line *added = append_line(given);
    save_lines();
    return added;
}

static line *find_line(uint64_t id) {
    for (size_t place = 0; place < line_count; place++)
        if (lines[place].id == id) return &lines[place];
    return NULL;
}

/* Whether a line of another node is here. */
static bool has_line(nectar_text node, uint64_t number) {
    for (size_t place = 0; place < line_count; place++)
        if (!lines[place].mine && lines[place].number == number && nectar_same(lines[place].node, node)) return true;
    return false;
}

static void change_line(line *changed, const char *state) {
    changed->state = nectar_string(state);
    save_lines();
}

#endif
