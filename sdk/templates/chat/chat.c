/* Lines between nodes.
 *
 *     {"Say":{"to":"two.nec","text":"Hi"}}  →  "Heard", or {"Missed":"Offline"} if it did not get there
 *     "Lines"  →  {"Lines":[{"node":"one.nec","text":"Hi"}]}      what this node has heard, the last 100
 *
 * {"Missed":"Timeout"} means that nobody knows: the line may have been heard, and the word of it was lost.
 */

#define NECTAR_IMPLEMENTATION
#include "nectar.h"

enum {
    max_lines = 100,
    patience = 30, /* seconds for a line to another node: long enough to learn that it is Offline */
};

static nectar_address our;
static struct {
    nectar_text node, text;
} lines[max_lines];
static size_t count;

static void reply(const char *name, nectar_text text) {
    nectar_writer body = {0};
    nectar_put_object(&body, NULL);
    nectar_put_text(&body, name, text);
    nectar_respond(&(nectar_reply){.body = nectar_written(&body)});
}

static void say(nectar_json wanted) {
    nectar_text to, text;
    if (!nectar_json_text(nectar_json_field(wanted, "to"), &to) ||
        !nectar_json_text(nectar_json_field(wanted, "text"), &text))
        return reply("Err", nectar_string("a Say has a node and a text"));
    nectar_writer body = {0};
    nectar_put_object(&body, NULL);
    nectar_put_text(&body, "Line", text);
    nectar_send(&(nectar_request){
        .target = nectar_on(to, our.process), .body = nectar_written(&body), .seconds = patience});
}

static void hear(nectar_text node, nectar_text text) {
    if (count == max_lines) {
        nectar_free((void *)lines[0].node.ptr);
        nectar_free((void *)lines[0].text.ptr);
        for (size_t i = 1; i < count; i++) lines[i - 1] = lines[i];
        count--;
    }
    lines[count].node = nectar_keep(node);
    lines[count++].text = nectar_keep(text);
    nectar_respond(&(nectar_reply){.body = nectar_string("\"Heard\"")});
}

static void tell(void) {
    nectar_writer body = {0};
    nectar_put_object(&body, NULL);
    nectar_put_array(&body, "Lines");
    for (size_t i = 0; i < count; i++) {
        nectar_put_object(&body, NULL);
        nectar_put_text(&body, "node", lines[i].node);
        nectar_put_text(&body, "text", lines[i].text);
        nectar_put_end(&body);
    }
    nectar_respond(&(nectar_reply){.body = nectar_written(&body)});
}

static void handle(const nectar_event *event) {
    nectar_json asked, value;
    nectar_text name, text;
    if (nectar_json_parse(event->body, &asked) != NECTAR_OK || !nectar_json_variant(asked, &name, &value))
        return reply("Err", nectar_string("not JSON that I know"));
    bool ours = nectar_same(event->source.node, our.node);
    if (nectar_is(name, "Say") && ours) return say(value);
    if (nectar_is(name, "Lines")) return tell();
    /* From this process on another node; which one, the kernel knows. */
    if (nectar_is(name, "Line") && nectar_json_text(value, &text)) return hear(event->source.node, text);
    reply("Err", nectar_string("not a Say of this node, a Line or \"Lines\""));
}

void nectar_main(nectar_address address) {
    our = address;
    for (;;) {
        nectar_event event;
        nectar_receive(&event);
        if (nectar_wants_answer(&event)) handle(&event);
        /* An outcome puts back the message under which the line was sent: the answer goes to whoever said it. */
        else if (event.kind == NECTAR_RESPONSE) nectar_respond(&(nectar_reply){.body = event.body});
        else if (event.kind == NECTAR_SEND_ERROR && event.of_request)
            reply("Missed", nectar_string(event.error == NECTAR_OFFLINE ? "Offline" : "Timeout"));
    }
}
