/* Takes jobs from the boss of any node, gives each to a child of its own, and passes on what comes of it. A child that
 * traps costs its job; the worker says so and goes on. */

#include "protocol.h"

enum { PATIENCE = 3600 }; /* seconds that a child may take */

static unsigned children;

static void reply(const char *body) { nectar_respond(&(nectar_reply){.body = nectar_string(body)}); }

static void handle(nectar_text body) {
    job wanted;
    nectar_process_id child;
    if (!parse_order(body, &wanted)) return reply("{\"Err\":\"expected {\\\"Do\\\":JOB}\"}");
    if (wanted.below > MAX_BELOW) return reply("{\"Err\":\"a job goes up to 1,000,000 at most\"}");
    if (children == MAX_CHILDREN) return reply("\"Busy\"");
    if (nectar_spawn(&(nectar_child){.wasm_path = "/child.wasm"}, &child) != NECTAR_OK)
        return reply("{\"Err\":\"no child could be started\"}");
    children += 1;
    nectar_send(&(nectar_request){.target = nectar_on(nectar_string("our"), child), .body = body, .seconds = PATIENCE});
}

void nectar_main(nectar_address our) {
    (void)our;
    for (;;) {
        nectar_event event;
        nectar_receive(&event);
        if (nectar_wants_answer(&event)) {
            handle(event.body);
        } else if (event.kind == NECTAR_RESPONSE) { /* it puts back the prompt: this goes to the boss that sent the job */
            children -= 1;
            nectar_respond(&(nectar_reply){.body = event.body});
        } else if (event.kind == NECTAR_SEND_ERROR && event.of_request) {
            children -= 1;
            reply("\"Crashed\"");
        }
    }
}
