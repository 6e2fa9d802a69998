"""A testnet over several machines, which are reached by ssh.

`file`: hosts.toml; `kept`: what the folder of such a testnet holds here; `ssh`: asyncssh behind a small synchronous
interface; `install`: the project on a host; `agent`: the program there, which starts, watches and ends the nodes of its
host; `network`: all hosts together, as the commands see them; `files`: how files travel; `collecting`, `packages`:
which of them come here, and go there.

On each host there is an ordinary folder of a testnet with the host's own nodes, and links of its own beside them
(`testnet.real.links.gateway`).
"""
