/* Greets whoever asks, or asks hello on another node to do so and tells what came of it.
 *
 *     {"Greet": "Ada"}  →  {"Greeting": "Hello, Ada, from one.nec"}
 *     {"Ask": {"node": "two.nec", "name": "Ada", "timeout": 5}}
 *         →  {"Answered": {"body": …}} or {"Failed": {"kind": "Offline"}}
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

static void ask(nectar_json wanted) {
    nectar_text node, name;
    uint64_t timeout = 5;
    nectar_json given = nectar_json_field(wanted, "timeout");
    bool complete = nectar_json_text(nectar_json_field(wanted, "node"), &node) &&
                    nectar_json_text(nectar_json_field(wanted, "name"), &name);
    if (!complete || (given.ptr != NULL && !nectar_json_u64(given, &timeout)))
        return reply("Err", nectar_string("an Ask has a node, a name and seconds"));
    nectar_writer body = {0};
    nectar_put_object(&body, NULL);
    nectar_put_text(&body, "Greet", name);
    nectar_send(&(nectar_request){
        .target = nectar_on(node, our.process), .body = nectar_written(&body), .seconds = timeout, .context = node});
}

static void answer(nectar_text body) {
    nectar_json asked, payload;
    nectar_text kind, name;
    if (nectar_json_parse(body, &asked) != NECTAR_OK || !nectar_json_variant(asked, &kind, &payload))
        return reply("Err", nectar_string("not JSON that I know"));
    if (nectar_is(kind, "Ask")) return ask(payload);
    if (!nectar_is(kind, "Greet") || !nectar_json_text(payload, &name))
        return reply("Err", nectar_string("not a Greet or an Ask"));
    reply("Greeting", nectar_format("Hello, %.*s, from %.*s", NECTAR_ARG(name), NECTAR_ARG(our.node)));
}

/* A response or an error puts back the prompt: the answer goes to whoever sent the Ask. */
static void answered(nectar_text body) {
    nectar_json value;
    nectar_writer out = {0};
    if (nectar_json_parse(body, &value) != NECTAR_OK)
        return reply("Err", nectar_string("the other node answered with something that is not JSON"));
    nectar_put_object(&out, NULL);
    nectar_put_object(&out, "Answered");
    nectar_put_json(&out, "body", value);
    nectar_respond(&(nectar_reply){.body = nectar_written(&out)});
}

static void failed(const nectar_event *event) {
    nectar_writer out = {0};
    nectar_text why = nectar_explain(event->error);
    nectar_log(NECTAR_INFO, "no greeting from %.*s: %.*s", NECTAR_ARG(event->context), NECTAR_ARG(why));
    nectar_put_object(&out, NULL);
    nectar_put_object(&out, "Failed");
    nectar_put_string(&out, "kind", event->error == NECTAR_OFFLINE ? "Offline" : "Timeout");
    nectar_respond(&(nectar_reply){.body = nectar_written(&out)});
}

void nectar_main(nectar_address address) {
    our = address;
    for (;;) {
        nectar_event event;
        nectar_receive(&event);
        if (nectar_wants_answer(&event)) answer(event.body);
        else if (event.kind == NECTAR_RESPONSE) answered(event.body);
        else if (event.kind == NECTAR_SEND_ERROR && event.of_request) failed(&event);
    }
}
