"""The limiter in virtual time, against every kind of limit: `nox -s limits`. No sockets, no waiting; seeded."""
