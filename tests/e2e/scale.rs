//! Scaling out: a RabbitMQ cluster, a pooler before PostgreSQL, and a replica for listings.

mod cluster;
mod pooler;
mod replica;
