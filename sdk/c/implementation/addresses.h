/* Addresses, and the start of a process. */

nectar_code nectar_address_parse(nectar_text text, nectar_address *address) {
    const char separators[] = "@::";
    nectar_text parts[4];
    size_t part = 0, begin = 0;
    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && (part == 3 ? text.ptr[i] != ':' : text.ptr[i] != separators[part])) continue;
        if (i == begin || part == 4 || (part == 3) != (i == text.len)) return NECTAR_BAD_ADDRESS;
        parts[part++] = (nectar_text){text.ptr + begin, i - begin};
        begin = i + 1;
    }
    if (part != 4) return NECTAR_BAD_ADDRESS;
    *address = (nectar_address){parts[0], {parts[1], parts[2], parts[3]}};
    return NECTAR_OK;
}

nectar_address nectar_local(const char *process) {
    nectar_address address;
    nectar_text text = nectar_format("our@%s", process);
    if (nectar_address_parse(text, &address) != NECTAR_OK) nectar_panic("this is no process of ours");
    return address;
}

nectar_address nectar_on(nectar_text node, nectar_process_id process) { return (nectar_address){node, process}; }

nectar_text nectar_address_text(nectar_address address) {
    return nectar_format("%.*s@%.*s:%.*s:%.*s", NECTAR_ARG(address.node), NECTAR_ARG(address.process.process),
                         NECTAR_ARG(address.process.package), NECTAR_ARG(address.process.publisher));
}

bool nectar_same_package(nectar_address a, nectar_address b) {
    return nectar_same(a.node, b.node) && nectar_same(a.process.package, b.process.package) &&
           nectar_same(a.process.publisher, b.process.publisher);
}

bool nectar_address_same(nectar_address a, nectar_address b) {
    return nectar_same_package(a, b) && nectar_same(a.process.process, b.process.process);
}

nectar_address nectar_address_keep(nectar_address address) {
    nectar_address copy;
    nectar_address_parse(nectar_keep(nectar_address_text(address)), &copy);
    return copy;
}

static nectar_address nectar__our;

nectar_address nectar_our(void) { return nectar__our; }

void init(const char *ptr, size_t len);

__attribute__((export_name("init"))) void init(const char *ptr, size_t len) {
    nectar_text our = nectar_keep((nectar_text){ptr, len});
    if (nectar_address_parse(our, &nectar__our) != NECTAR_OK) nectar_panic("the kernel gave us no valid address");
    nectar_main(nectar__our);
}
