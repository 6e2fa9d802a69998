/* Sentences for codes. */

nectar_text nectar_explain(nectar_code code) {
    static const char *const sentences[] = {
        "it is done",
        "the other side cannot be reached",
        "there was no answer in time",
        "the other side refuses",
        "there is no such file or key",
        "this is not the JSON that is expected",
        "this is no address: node@process:package:publisher",
        "the saved state cannot be read",
        "a child of that name is there",
        "the package has no such file",
    };
    bool has_reason = code == NECTAR_REFUSED || code == NECTAR_NOT_FOUND || code == NECTAR_BAD_STATE;
    if (has_reason && nectar__reason.ptr != NULL) return nectar__reason;
    return nectar_string(sentences[code]);
}
