/* Does one job and ends. */

#include "protocol.h"

static bool is_prime(uint64_t number) {
    if (number < 4) return number > 1;
    if (number % 2 == 0) return false;
    for (uint64_t divisor = 3; divisor * divisor <= number; divisor += 2)
        if (number % divisor == 0) return false;
    return true;
}

static void work(const job *wanted) {
    uint64_t sum = 0;
    nectar_writer answer = {0};
    if (wanted->rest > 0) nectar_sleep(wanted->rest);
    if (wanted->trap) nectar_panic("a job that was to trap");
    for (uint64_t number = 2; number < wanted->below; number++)
        if (is_prime(number)) sum += number;
    nectar_put_object(&answer, NULL);
    nectar_put_object(&answer, "Did");
    nectar_put_u64(&answer, "job", wanted->number);
    nectar_put_u64(&answer, "sum", sum);
    nectar_respond(&(nectar_reply){.body = nectar_written(&answer)});
}

void nectar_main(nectar_address our) {
    for (;;) {
        nectar_event event;
        job wanted;
        nectar_receive(&event);
        if (event.kind != NECTAR_REQUEST || !nectar_same_package(event.source, our)) continue;
        if (parse_order(event.body, &wanted)) return work(&wanted);
    }
}
