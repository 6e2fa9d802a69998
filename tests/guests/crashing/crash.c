/* Traps three calls deep, as a request wants it: "abort" with a sentence, "memory" by reading where there is none.
 * Anything else is answered. */

#define NECTAR_IMPLEMENTATION
#include "nectar.h"

static char element(const char *bytes, size_t index) {
    return ((const volatile char *)bytes)[index];
}

static char look_up(const char *body, size_t length) {
    if (length == 5) nectar_panic("five bytes are too many");
    return element(body, length == 6 ? 0xf0000000 : 0);
}

static void handle(const nectar_event *event) {
    char first = look_up((const char *)event->body.ptr, event->body.len);
    if (nectar_wants_answer(event)) nectar_respond(&(nectar_reply){.body = {&first, 1}});
}

void nectar_main(nectar_address our) {
    (void)our;
    for (;;) {
        nectar_event event;
        nectar_receive(&event);
        handle(&event);
    }
}
