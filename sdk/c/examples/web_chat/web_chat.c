/* A chat with a page: people type in browsers, the page and this process talk over a WebSocket, and the processes of two
 * nodes by messages.
 *
 *     browser                                   this process                       web_chat of two.nec
 *     {"Say": {"to": "two.nec", "text": "Hi"}}  →
 *                ←  {"Line": {…, "state": "Sent"}}
 *                                               {"Line": {"number": 1, "text": "Hi"}}  →
 *                                                                                  ←  "Heard"
 *                ←  {"Line": {…, "state": "Heard"}}
 *
 * A line that did not get there is shown as Offline, or Timeout if nobody knows whether it did. {"Again": 1} sends it once
 * more, under the number that it had: whoever has heard it already answers and does not show it twice. Lines are saved
 * before anybody is told of them, so both ends of a conversation outlive a crash.
 */

#define NECTAR_IMPLEMENTATION
#include "nectar.h"
#include "lines.h"

enum {
    PATIENCE = 30, /* seconds for a line to another node: long enough to learn that it is Offline */
    MAX_NAME_BYTES = 253,
    MAX_TEXT_BYTES = 1000,
    MAX_CHANNELS = 64,
};

static const char page_html[] = {
#embed "page.html"
};
static const char page_css[] = {
#embed "page.css"
};
static const char page_js[] = {
#embed "page.js"
};

static nectar_address our;

/* The WebSockets that are open: one for each page that somebody looks at. */
static uint32_t channels[MAX_CHANNELS];
static size_t channel_count;

/* --- pages --- */

static void tell(uint32_t channel, nectar_writer *news) { nectar_http_push(channel, nectar_written(news)); }

static void tell_wrong(uint32_t channel, const char *wrong) {
    nectar_writer news = {0};
    nectar_put_object(&news, NULL);
    nectar_put_string(&news, "Err", wrong);
    tell(channel, &news);
}

/* First of all: who we are, and all that has been said. */
static void greet(uint32_t channel) {
    nectar_writer news = {0};
    nectar_put_object(&news, NULL);
    nectar_put_object(&news, "Hello");
    nectar_put_text(&news, "node", our.node);
    put_lines(&news);
    tell(channel, &news);
}

/* A line that is new, or has another state. */
static void tell_all(const line *told) {
    nectar_writer news = {0};
    nectar_put_object(&news, NULL);
    nectar_put_object(&news, "Line");
    nectar_put_struct(&news, line_fields, told);
    nectar_text text = nectar_written(&news);
    for (size_t place = 0; place < channel_count; place++) nectar_http_push(channels[place], text);
}

static void send(const line *sent) {
    nectar_writer body = {0};
    tell_all(sent);
    nectar_put_object(&body, NULL);
    nectar_put_object(&body, "Line");
    nectar_put_u64(&body, "number", sent->number);
    nectar_put_text(&body, "text", sent->text);
    nectar_send(&(nectar_request){
        .target = nectar_on(sent->node, our.process),
        .body = nectar_written(&body),
        .seconds = PATIENCE,
        .context = nectar_format("%llu", (unsigned long long)sent->id),
    });
}

static const char *say(nectar_json wanted) {
    nectar_text to, text;
    if (!nectar_json_text(nectar_json_field(wanted, "to"), &to) ||
        !nectar_json_text(nectar_json_field(wanted, "text"), &text))
        return "That is no order that this chat knows.";
    if (to.len == 0 || to.len > MAX_NAME_BYTES) return "Say the name of a node, such as two.nec.";
    if (nectar_same(to, our.node)) return "That is this node itself: name another one.";
    if (text.len == 0 || text.len > MAX_TEXT_BYTES) return "A line has 1 to 1,000 bytes.";
    send(add_line(to, true, ++said, text, "Sent"));
    return NULL;
}

static const char *again(uint64_t id) {
    line *wanted = find_line(id);
    if (wanted == NULL) return "That line is not kept any more.";
    if (!wanted->mine || nectar_is(wanted->state, "Sent") || nectar_is(wanted->state, "Heard"))
        return "That line is not one to send again.";
    change_line(wanted, "Sent");
    send(wanted);
    return NULL;
}

/* Do what a page wants; returns why not, if it cannot be. */
static const char *obey(nectar_text order) {
    nectar_json value, payload;
    nectar_text kind;
    uint64_t id;
    bool known = nectar_json_parse(order, &value) == NECTAR_OK && nectar_json_variant(value, &kind, &payload);
    if (known && nectar_is(kind, "Say")) return say(payload);
    if (known && nectar_is(kind, "Again") && nectar_json_u64(payload, &id)) return again(id);
    return "That is no order that this chat knows.";
}

static void forget(uint32_t channel) {
    for (size_t place = 0; place < channel_count; place++)
        if (channels[place] == channel) channels[place] = channels[--channel_count];
}

static void browser(const nectar_http_event *event) {
    nectar_blob blob;
    const char *wrong;
    switch (event->kind) {
    case NECTAR_PAGE: nectar_http_respond(404, "text/plain", nectar_string("There is no such page.\n")); break;
    case NECTAR_SOCKET_OPEN:
        if (channel_count == MAX_CHANNELS) return nectar_http_close(event->channel);
        channels[channel_count++] = event->channel;
        greet(event->channel);
        break;
    case NECTAR_SOCKET_MESSAGE:
        if (!nectar_is(event->message_type, "Text") || !nectar_get_blob(&blob)) return;
        wrong = obey(blob.bytes);
        if (wrong != NULL) tell_wrong(event->channel, wrong);
        break;
    case NECTAR_SOCKET_CLOSE: forget(event->channel); break;
    }
}

/* --- other nodes --- */

static void settle(uint64_t id, const char *state) {
    line *settled = find_line(id);
    if (settled == NULL) return; /* so many have come since that it is not kept */
    change_line(settled, state);
    tell_all(settled);
}

static uint64_t id_of(nectar_text context) {
    uint64_t id;
    if (!nectar_json_u64(context, &id)) nectar_panic("a context is not what was written");
    return id;
}

static bool is_heard(nectar_text body) {
    nectar_json value, payload;
    nectar_text kind;
    return nectar_json_parse(body, &value) == NECTAR_OK && nectar_json_variant(value, &kind, &payload) &&
           nectar_is(kind, "Heard");
}

static void respond(const char *body) { nectar_respond(&(nectar_reply){.body = nectar_string(body)}); }

static void hear(const nectar_event *event) {
    nectar_json value, payload;
    nectar_text kind, text, node = event->source.node;
    uint64_t number;
    if (nectar_json_parse(event->body, &value) != NECTAR_OK || !nectar_json_variant(value, &kind, &payload) ||
        !nectar_is(kind, "Line") || !nectar_json_u64(nectar_json_field(payload, "number"), &number) ||
        !nectar_json_text(nectar_json_field(payload, "text"), &text))
        return respond("{\"Err\":\"expected a Line\"}");
    if (nectar_same(node, our.node)) return respond("{\"Err\":\"lines come from other nodes\"}");
    if (text.len == 0 || text.len > MAX_TEXT_BYTES) return respond("{\"Err\":\"a line has 1 to 1,000 bytes\"}");
    if (!has_line(node, number)) tell_all(add_line(node, false, number, text, "Heard"));
    respond("\"Heard\"");
}

/* --- from the beginning --- */

/* Let the node serve a page to whoever has signed in, without waking us. */
static void serve(const char *path, const char *mime, const char *bytes, size_t len) {
    nectar_code code = nectar_http_serve(path, mime, (nectar_text){bytes, len}, (nectar_http_options){.authenticated = true});
    if (code != NECTAR_OK) nectar_panic("the node serves no pages of ours");
}

static void begin(void) {
    if (!load_lines()) nectar_panic("the saved lines cannot be read");
    serve("/", "text/html; charset=utf-8", page_html, sizeof page_html);
    serve("/page.css", "text/css", page_css, sizeof page_css);
    serve("/page.js", "text/javascript", page_js, sizeof page_js);
    if (nectar_http_bind_socket("/lines", (nectar_http_options){.authenticated = true}) != NECTAR_OK)
        nectar_panic("the node lets no browser open WebSockets of ours");
    /* The homepage need not be there, so nobody waits for its answer. */
    nectar_send(&(nectar_request){
        .target = nectar_local("homepage:homepage:sys"),
        .body = nectar_string("{\"Add\":{\"label\":\"Chat\",\"path\":\"/\"}}"),
    });
    for (size_t place = 0; place < line_count; place++) /* sent by an earlier life of ours */
        if (nectar_is(lines[place].state, "Sent")) settle(lines[place].id, "Timeout");
}

void nectar_main(nectar_address address) {
    our = address;
    begin();
    for (;;) {
        nectar_event event;
        nectar_http_event page;
        nectar_receive(&event);
        if (nectar_http_parse(&event, &page)) browser(&page);
        else if (nectar_wants_answer(&event)) hear(&event);
        else if (event.kind == NECTAR_RESPONSE) settle(id_of(event.context), is_heard(event.body) ? "Heard" : "Refused");
        else if (event.kind == NECTAR_SEND_ERROR && event.of_request)
            settle(id_of(event.context), event.error == NECTAR_OFFLINE ? "Offline" : "Timeout");
    }
}
