/* Floats: exact both ways, by whole numbers of any size. */

enum {
    NECTAR__DIGITS = 800, /* one more decides nothing: no midpoint of two doubles has as many */
    NECTAR__WORDS = 200,  /* of 32 bits: 10^1130 and 2^1130 fit */
};

typedef struct {
    uint32_t words[NECTAR__WORDS]; /* the least significant first */
    unsigned count;
} nectar__whole;

static void nectar__multiply(nectar__whole *whole, uint32_t factor, uint32_t more) {
    uint64_t carry = more;
    for (unsigned i = 0; i < whole->count; i++) {
        carry += (uint64_t)whole->words[i] * factor;
        whole->words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry == 0) return;
    if (whole->count == NECTAR__WORDS) nectar_panic("a float has too many digits");
    whole->words[whole->count++] = (uint32_t)carry;
}

static void nectar__multiply_power(nectar__whole *whole, uint32_t base, unsigned exponent) {
    for (; exponent > 0; exponent--) nectar__multiply(whole, base, 0);
}

static void nectar__set_whole(nectar__whole *whole, uint64_t value) {
    whole->words[0] = (uint32_t)value;
    whole->words[1] = (uint32_t)(value >> 32);
    whole->count = value == 0 ? 0 : value >> 32 == 0 ? 1 : 2;
}

static int nectar__compare(const nectar__whole *a, const nectar__whole *b) {
    if (a->count != b->count) return a->count < b->count ? -1 : 1;
    for (unsigned i = a->count; i-- > 0;)
        if (a->words[i] != b->words[i]) return a->words[i] < b->words[i] ? -1 : 1;
    return 0;
}

typedef union {
    double value;
    uint64_t bits;
} nectar__bits;

/* A positive double, not infinite, as fraction × 2^exponent. */
static uint64_t nectar__fraction(uint64_t bits, int *exponent) {
    uint64_t fraction = bits & ((1ULL << 52) - 1);
    int biased = (int)(bits >> 52);
    *exponent = (biased == 0 ? 1 : biased) - 1075;
    return biased == 0 ? fraction : fraction | 1ULL << 52;
}

/* Digits × 10^exponent against the midpoint of a double and the next one. */
static int nectar__against_midpoint(const nectar__whole *digits, int exponent, uint64_t bits) {
    static nectar__whole left, right;
    int binary;
    left = *digits;
    nectar__set_whole(&right, 2 * nectar__fraction(bits, &binary) + 1);
    binary -= 1;
    /* Both sides times what makes them whole: 10^e is 5^e × 2^e. */
    nectar__multiply_power(exponent >= 0 ? &left : &right, 5, (unsigned)(exponent >= 0 ? exponent : -exponent));
    int shift = exponent - binary;
    nectar__multiply_power(shift >= 0 ? &left : &right, 2, (unsigned)(shift >= 0 ? shift : -shift));
    return nectar__compare(&left, &right);
}

bool nectar_json_double(nectar_json value, double *out) {
    static nectar__whole digits;
    if (nectar_json_kind_of(value) != NECTAR_JSON_NUMBER) return false;
    nectar__scan scan = {value.ptr, value.ptr + value.len};
    bool negative = nectar__take(&scan, '-'), behind_point = false, more = false;
    int64_t exponent = 0, written = 0;
    unsigned kept = 0;
    uint64_t small = 0;
    digits.count = 0;
    for (; scan.at < scan.end && (*scan.at | 0x20) != 'e'; scan.at++) {
        if (*scan.at == '.') {
            behind_point = true;
            continue;
        }
        uint32_t digit = (uint32_t)(*scan.at - '0');
        if (behind_point) exponent--;
        if (kept == 0 && digit == 0) continue;
        if (kept == NECTAR__DIGITS) {
            more |= digit != 0;
            exponent++;
            continue;
        }
        kept++;
        if (kept <= 15) small = small * 10 + digit;
        if (digits.count == 0) nectar__set_whole(&digits, digit);
        else nectar__multiply(&digits, 10, digit);
    }
    if (more) { /* something above what is kept, however little */
        nectar__multiply(&digits, 10, 1);
        exponent--;
        kept++;
    }
    if (scan.at++ < scan.end) {
        bool minus = nectar__take(&scan, '-');
        if (!minus) nectar__take(&scan, '+');
        for (; scan.at < scan.end; scan.at++)
            if (written < 1000000000) written = written * 10 + (*scan.at - '0');
        exponent += minus ? -written : written;
    }
    nectar__bits found = {0};
    int64_t magnitude = exponent + kept; /* the number is below 10^magnitude */
    if (kept > 0 && magnitude > 310) return false;
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (kept <= 15 && exponent >= -22 && exponent <= 22) { /* both are exact, so one operation rounds right */
        double whole = (double)small;
        found.value = exponent < 0 ? whole / powers[-exponent] : whole * powers[exponent];
    } else if (kept > 0 && magnitude > -330) { /* the least double whose midpoint to the next is not below the number */
        const uint64_t infinite = 0x7FFULL << 52;
        uint64_t low = 0, high = infinite;
        while (low < high) {
            uint64_t middle = low + (high - low) / 2;
            int order = nectar__against_midpoint(&digits, (int)exponent, middle);
            if (order < 0 || (order == 0 && middle % 2 == 0)) high = middle;
            else low = middle + 1;
        }
        if (low == infinite) return false;
        found.bits = low;
    }
    *out = negative ? -found.value : found.value;
    return true;
}

/* Round a number of `have` decimal digits to `want`; whether it became one digit longer. */
static bool nectar__round(const char *digits, unsigned have, char *rounded, unsigned want) {
    bool up = want < have && digits[want] >= '5';
    for (unsigned i = want; i-- > 0;) {
        rounded[i] = i < have ? digits[i] : '0';
        if (up) up = ++rounded[i] > '9';
        if (rounded[i] > '9') rounded[i] = '0';
    }
    if (up) rounded[0] = '1';
    return up;
}

static void nectar__append_double(nectar_writer *out, double value) {
    static nectar__whole whole;
    static char digits[NECTAR__WORDS * 10];
    nectar__bits bits = {value};
    if (bits.bits >> 63) nectar__append(out, "-", 1);
    bits.bits &= ~0ULL >> 1;
    if (bits.bits >> 52 == 0x7FF) {
        nectar__append_string(out, bits.bits << 12 == 0 ? "inf" : "nan");
        return;
    }
    if (bits.bits == 0) {
        nectar__append(out, "0.0", 3);
        return;
    }
    int binary;
    nectar__set_whole(&whole, nectar__fraction(bits.bits, &binary));
    nectar__multiply_power(&whole, binary >= 0 ? 2 : 5, (unsigned)(binary >= 0 ? binary : -binary));
    int point = binary < 0 ? binary : 0; /* the value is the whole number × 10^point */
    unsigned have = 0;
    while (whole.count > 0) { /* the least significant digit first */
        uint64_t rest = 0;
        for (unsigned i = whole.count; i-- > 0;) {
            rest = rest << 32 | whole.words[i];
            whole.words[i] = (uint32_t)(rest / 10);
            rest %= 10;
        }
        while (whole.count > 0 && whole.words[whole.count - 1] == 0) whole.count--;
        digits[have++] = (char)('0' + rest);
    }
    for (unsigned i = 0; i < have / 2; i++) {
        char other = digits[i];
        digits[i] = digits[have - 1 - i];
        digits[have - 1 - i] = other;
    }
    point += (int)have; /* the value is 0.DIGITS × 10^point */
    char shortest[17], text[32];
    unsigned used = 1;
    int place = point;
    for (;; used++) {
        place = point + nectar__round(digits, have, shortest, used);
        nectar_writer trial = {.ptr = text, .room = sizeof text};
        double back = 0;
        nectar__append(&trial, shortest, used);
        nectar__append(&trial, "e", 1);
        nectar__append_i64(&trial, place - (int)used);
        bool read = nectar_json_double((nectar_json){text, trial.len}, &back);
        if (used == 17 || (read && back == bits.value)) break;
    }
    bool plain = place > -6 && place <= 17;
    if (!plain) {
        nectar__append(out, shortest, 1);
        if (used > 1) nectar__append(out, ".", 1);
        nectar__append(out, shortest + 1, used - 1);
        nectar__append(out, "e", 1);
        nectar__append_i64(out, place - 1);
        return;
    }
    if (place <= 0) nectar__append(out, "0.", 2);
    for (int i = place; i < 0; i++) nectar__append(out, "0", 1);
    for (int i = 0; i < (int)used || i < place; i++) {
        if (i > 0 && i == place) nectar__append(out, ".", 1);
        nectar__append(out, i < (int)used ? &shortest[i] : "0", 1);
    }
    if ((int)used <= place) nectar__append(out, ".0", 2);
}
