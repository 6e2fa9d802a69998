/* Calls every function of the SDK, as the metadata of each request says; the tests compare what the kernel is asked for. */

#define NECTAR_IMPLEMENTATION
#include "nectar.h"

static const nectar_blob *blob_of_message(void) {
    nectar_blob *blob = nectar_arena(sizeof *blob);
    return nectar_get_blob(blob) ? blob : NULL;
}

static nectar_request outgoing(const nectar_event *event, const nectar_blob *blob) {
    return (nectar_request){
        .target = event->source,
        .body = event->body,
        .metadata = event->metadata,
        .capabilities = event->capabilities,
        .inherit = event->inherit,
        .expects_response = event->expects_response,
        .seconds = event->seconds,
        .context = event->body,
        .blob = blob,
    };
}

static void answered(const nectar_event *event) {
    nectar_event response;
    nectar_request request = outgoing(event, blob_of_message());
    nectar_code code = nectar_await(&request, &response);
    if (code == NECTAR_OK)
        return nectar_respond(&(nectar_reply){
            .body = response.body,
            .metadata = response.metadata,
            .capabilities = response.capabilities,
            .inherit = true,
            .blob = blob_of_message(),
        });
    nectar_text body = nectar_string(code == NECTAR_OFFLINE ? "offline" : "timeout");
    nectar_respond(&(nectar_reply){.body = body, .blob = response.has_blob ? &response.blob : NULL});
}

static void spawn(const nectar_event *event) {
    nectar_process_id started;
    nectar_child child = {
        .name = event->body.len > 0 ? event->body : (nectar_text){NULL, 0},
        .wasm_path = "/child.wasm",
        .on_exit = {.kind = NECTAR_EXIT_RESTART},
        .request_capabilities = event->capabilities,
        .grant_capabilities = &event->source.process,
        .grant_count = 1,
        .is_public = event->inherit,
    };
    nectar_code code = nectar_spawn(&child, &started);
    nectar_text told = nectar_string(code == NECTAR_NAME_TAKEN ? "NameTaken" : "NoFileAtPath");
    if (code == NECTAR_OK) told = nectar_format("%.*s:%.*s:%.*s", NECTAR_ARG(started.process), NECTAR_ARG(started.package), NECTAR_ARG(started.publisher));
    nectar_respond(&(nectar_reply){.body = told});
}

static void state(nectar_text body) {
    nectar_text kept = nectar_string("none");
    if (body.len == 0) return nectar_clear_state();
    nectar_set_state(body);
    nectar_get_state(&kept);
    nectar_respond(&(nectar_reply){.body = kept});
}

static void on_exit(const nectar_event *event) {
    nectar_on_exit none = {.kind = NECTAR_EXIT_NONE}, found;
    nectar_request last = {.target = event->source, .body = event->body, .blob = blob_of_message()};
    nectar_set_on_exit(&none);
    nectar_set_on_exit(&(nectar_on_exit){NECTAR_EXIT_REQUESTS, &last, 1});
    nectar_get_on_exit(&found);
    nectar_set_on_exit(&found);
}

/* Read a value and write it again, an object as an array of keys and values. */
static void through_json(nectar_writer *out, const char *key, nectar_json value) {
    int64_t whole;
    uint64_t large;
    double number;
    bool flag = false;
    nectar_text text;
    nectar_json_kind kind = nectar_json_kind_of(value);
    if (nectar_json_i64(value, &whole)) return nectar_put_i64(out, key, whole);
    if (nectar_json_u64(value, &large)) return nectar_put_u64(out, key, large);
    if (nectar_json_double(value, &number)) return nectar_put_double(out, key, number);
    if (nectar_json_text(value, &text)) return nectar_put_text(out, key, text);
    if (nectar_json_bool(value, &flag)) return nectar_put_bool(out, key, flag);
    if (kind == NECTAR_JSON_NULL || kind == NECTAR_JSON_NUMBER) return nectar_put_null(out, key); /* 1e999 */
    nectar_put_array(out, key);
    for (nectar_items items = nectar_json_items(value); nectar_json_next(&items);) {
        if (items.object) nectar_put_text(out, NULL, items.key); /* a key of the writer's is a C string */
        through_json(out, NULL, items.value);
    }
    nectar_put_end(out);
}

static void json(nectar_text body) {
    nectar_writer out = {0};
    nectar_json value;
    if (nectar_json_parse(body, &value) != NECTAR_OK) return nectar_respond(&(nectar_reply){.body = nectar_string("not JSON")});
    through_json(&out, NULL, value);
    nectar_respond(&(nectar_reply){.body = nectar_written(&out)});
}

static void told(const nectar_event *event) {
    nectar_text command = event->metadata;
    if (nectar_is(command, "several")) {
        nectar_request both[] = {outgoing(event, NULL), outgoing(event, blob_of_message())};
        nectar_send_all(both, 2);
    } else if (nectar_is(command, "await")) {
        answered(event);
    } else if (nectar_is(command, "spawn")) {
        spawn(event);
    } else if (nectar_is(command, "state")) {
        state(event->body);
    } else if (nectar_is(command, "on_exit")) {
        on_exit(event);
    } else if (nectar_is(command, "capabilities")) {
        nectar_save_capabilities(nectar_our_capabilities());
        nectar_drop_capabilities(nectar_our_capabilities());
    } else if (nectar_is(command, "json")) {
        json(event->body);
    } else if (nectar_is(command, "print")) {
        nectar_print(2, event->body);
    } else if (nectar_is(command, "overflow")) {
        nectar_respond(&(nectar_reply){.body = nectar_format("%d", 0x7fffff00 + (unsigned char)event->body.ptr[0] + 1)});
    } else if (nectar_is(command, "fail")) {
        nectar_panic("as told");
    } else {
        nectar_request request = outgoing(event, blob_of_message());
        nectar_send(&request);
    }
}

void nectar_main(nectar_address our) {
    (void)our;
    for (;;) {
        nectar_event event;
        nectar_receive(&event);
        if (event.kind == NECTAR_REQUEST) {
            told(&event);
        } else if (event.kind == NECTAR_RESPONSE) {
            nectar_request request = outgoing(&event, blob_of_message());
            request.context = event.context;
            nectar_send(&request);
        } else {
            nectar_text body = nectar_format("%s %s %.*s", event.error == NECTAR_OFFLINE ? "offline" : "timeout",
                                             event.of_request ? "request" : "response", NECTAR_ARG(event.body));
            nectar_reply reply = {.body = body, .metadata = event.context, .blob = event.has_blob ? &event.blob : NULL};
            nectar_respond(&reply);
        }
    }
}
