"""Embedded servers: Kafka (Tansu) and Redis (Valkey), processes that end with this one."""
