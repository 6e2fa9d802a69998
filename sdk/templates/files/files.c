/* Notes as files, which other nodes may read.
 *
 *     {"Write":{"name":"a","text":"x"}}  →  "Written"      on this node alone; it is on the disk then
 *     {"Read":"a"}  →  {"Text":"x"} or "Missing"           from any node
 */

#define NECTAR_IMPLEMENTATION
#include "nectar.h"

static nectar_address our;

static void reply(const char *name, nectar_text text) {
    nectar_writer body = {0};
    nectar_put_object(&body, NULL);
    nectar_put_text(&body, name, text);
    nectar_respond(&(nectar_reply){.body = nectar_written(&body)});
}

static void say(const char *word) { nectar_respond(&(nectar_reply){.body = nectar_format("\"%s\"", word)}); }

/* The path of a note. What others say is no path: it could lead anywhere. */
static bool find(nectar_text name, nectar_text *path) {
    if (name.len == 0 || name.len > 100) return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (!fits) return false;
    }
    nectar_text drive = nectar_drive("notes");
    *path = nectar_format("%.*s/%.*s.txt", NECTAR_ARG(drive), NECTAR_ARG(name));
    return true;
}

static void write(nectar_json note) {
    nectar_text name, text, path;
    if (!nectar_json_text(nectar_json_field(note, "name"), &name) ||
        !nectar_json_text(nectar_json_field(note, "text"), &text) || !find(name, &path))
        return reply("Err", nectar_string("a Write has a name of letters, digits, - and _, and a text"));
    nectar_code code = nectar_write_file(path, text);
    if (code == NECTAR_OK) code = nectar_sync(path);
    if (code == NECTAR_OK) say("Written");
    else reply("Err", nectar_explain(code));
}

static void read(nectar_text name) {
    nectar_text path, text;
    if (!find(name, &path)) return reply("Err", nectar_string("a name is letters, digits, - and _"));
    nectar_code code = nectar_read_file(path, &text);
    if (code == NECTAR_OK) reply("Text", text);
    else if (code == NECTAR_NOT_FOUND) say("Missing");
    else reply("Err", nectar_explain(code));
}

static void handle(const nectar_event *event) {
    nectar_json asked, value;
    nectar_text kind, name;
    if (nectar_json_parse(event->body, &asked) != NECTAR_OK || !nectar_json_variant(asked, &kind, &value))
        return reply("Err", nectar_string("not JSON that I know"));
    if (nectar_is(kind, "Write") && nectar_same(event->source.node, our.node)) return write(value);
    if (nectar_is(kind, "Read") && nectar_json_text(value, &name)) return read(name);
    reply("Err", nectar_string("not a Write of this node, or a Read"));
}

void nectar_main(nectar_address address) {
    our = address;
    if (nectar_create_drive(nectar_drive("notes")) != NECTAR_OK) nectar_panic("there is no drive for notes");
    for (;;) {
        nectar_event event;
        nectar_receive(&event);
        if (nectar_wants_answer(&event)) handle(&event);
    }
}
