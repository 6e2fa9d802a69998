"""Pages that browsers have opened, messages of programs and calls of servers are replayed."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from nectar_node.driver.recordings.replaying import PURPOSE
from nectar_node.launcher.boot_options import BootOptions
from net.names import keyfile
from testnet.real.local import LocalTestnet
from tests.nectar_node.driver.recordings.recorded import Recording

NODE = "recorded-e.nec"


def test_a_page_a_message_of_a_program_and_a_call_of_a_server_are_done_again(
    network: LocalTestnet, tmp_path: Path
) -> None:
    private = ("terminal:sys",)
    network.add(NODE, BootOptions(record=tmp_path, http=("127.0.0.1", 0), rpc_open=True, http_client_private=private))
    url = str(network.status(NODE)["http"])
    assert b"<html" in urllib.request.urlopen(url, timeout=30).read()
    message = {"process": "echo:echo:sys", "expects_response": 5, "body": "by a program"}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/rpc:distro:sys/message", json.dumps(message).encode(), headers)
    assert bytes(json.load(urllib.request.urlopen(request, timeout=30))["body"]) == b"by a program"
    call: object = {"Http": {"method": "GET", "url": f"{url}/", "version": None, "headers": {}}}
    answer = network.message(NODE, "our@http-client:distro:sys", json.dumps(call))
    assert json.loads(str(answer["body"]))["Ok"]["Http"]["status"] == 200
    key = keyfile.unlock_key_file(network.place(NODE).key, None).identity.derive(PURPOSE)
    network.kill(NODE)
    player, difference = Recording(tmp_path, {NODE: key}, network.folder).replay(NODE)
    assert difference is None
    assert player.steps > 100
