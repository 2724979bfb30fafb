"""Sockets: the gateway (frame to handler), the hub (Redis to sockets), connections with bounded queues, presence."""
