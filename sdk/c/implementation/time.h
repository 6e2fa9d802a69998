/* Timer, clock, random. */

static nectar_request nectar__timer_request(uint64_t milliseconds) {
    return (nectar_request){
        .target = nectar_local("timer:distro:sys"),
        .body = nectar_format("{\"SetTimer\":%llu}", (unsigned long long)milliseconds),
        .seconds = milliseconds / 1000 + 10,
    };
}

nectar_code nectar_sleep(uint64_t milliseconds) {
    nectar_request request = nectar__timer_request(milliseconds);
    return nectar_await(&request, NULL);
}

void nectar_timer(uint64_t milliseconds, nectar_text context) {
    nectar_request request = nectar__timer_request(milliseconds);
    request.context = context;
    nectar_send(&request);
}

static uint64_t nectar__clock(int32_t clock) {
    uint64_t time = 0;
    if (nectar__clock_time_get(clock, 1, &time) != 0) nectar_panic("the node gives no time");
    return time;
}

uint64_t nectar_now(void) { return nectar__clock(0); }

uint64_t nectar_monotonic(void) { return nectar__clock(1); }

void nectar_random(void *bytes, size_t count) {
    if (count > 0 && nectar__random_get(bytes, count) != 0) nectar_panic("the node gives no random bytes");
}

uint64_t nectar_random_below(uint64_t below) {
    if (below == 0) nectar_panic("no number is below 0");
    uint64_t number, most = UINT64_MAX - UINT64_MAX % below; /* above it, small results would be likelier */
    do nectar_random(&number, sizeof number);
    while (number >= most);
    return number % below;
}
