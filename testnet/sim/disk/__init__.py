"""The disk of a simulated node: it carries out the operations of a real one, and knows what a power cut would leave."""
