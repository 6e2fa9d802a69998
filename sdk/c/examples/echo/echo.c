/* Answers each request with its own body and blob, without loading the blob. */

#define NECTAR_IMPLEMENTATION
#include "nectar.h"

void nectar_main(nectar_address our) {
    (void)our;
    for (;;) {
        nectar_event event;
        nectar_receive(&event);
        if (nectar_wants_answer(&event)) nectar_respond(&(nectar_reply){.body = event.body, .inherit = true});
    }
}
