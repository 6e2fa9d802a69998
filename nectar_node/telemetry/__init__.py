"""What a node shows of itself to monitoring: figures and spans. Pure; `nectar_node.driver.telemetry` sends them."""
