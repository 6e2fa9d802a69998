"""What the node knows of HTTP: requests, bound paths, pages. Pure; `nectar_node.system.http_server` joins them."""
